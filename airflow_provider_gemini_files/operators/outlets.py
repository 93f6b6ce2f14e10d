"""Adds tokens and cost of answers to the events of a task's assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_gemini_files.costs.entry import model_of
from airflow_provider_gemini_files.operators.base import GeminiOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


def tell_outlets(task: GeminiOperator, context: Context, key: str, account: Mapping[str, Any]) -> None:
    """
    Put what an answer or a batch has taken into the events of the task's assets, and its cost if there are prices.

    :param key: ``response`` or ``batch``.
    :param account: what the task has pushed to XCom under this key.
    """
    outlets = [outlet for outlet in task.outlets if isinstance(outlet, Asset)]
    if not outlets:
        return
    cost = task.hook.pricing.told(key, account)
    told = {"model_version": model_of(account), "usage": account["usage"], **cost}
    for outlet in outlets:
        context["outlet_events"][outlet].extra["gemini"] = told
