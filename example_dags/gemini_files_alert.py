"""
### Gemini files: alert

Uploads three invoices, and **posts to a webhook** if the storage of the project is then 90 % full: once, and again
after a day if it still is. Then it deletes them.

The URL of the webhook is the password of the connection `storage_webhook`, since anyone who knows it can post there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import BaseHook, dag

from airflow_provider_gemini_files.notifications.storage import GeminiStorageAlert
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

INVOICES = Path(__file__).parent / "media" / "invoices"


def post_to_webhook(context):
    import httpx

    url = BaseHook.get_connection("storage_webhook").password
    httpx.post(url, json={"text": context["gemini_storage"]["message"]}, timeout=10).raise_for_status()


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
)
def gemini_files_alert():
    upload = GeminiUploadFileOperator(
        task_id="upload",
        source=str(INVOICES),
        on_success_callback=GeminiStorageAlert(at=0.9, notifier=post_to_webhook, repeat_every=timedelta(hours=24)),
    ).as_setup()

    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    upload >> delete


gemini_files_alert()
