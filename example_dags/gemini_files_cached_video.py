"""
### Gemini files: many prompts for one cached video

Uploads a video, creates a **cache** of it, and sends a model ten prompts about it, each in a mapped task. The tasks
send only their prompt: the tokens of the video come from the cache, at a fraction of the price. Teardowns delete the
cache, whose storage is billed by the hour, and the video.

If the video is too short for a cache, the tasks send it themselves.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator, GeminiDeleteCacheOperator
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiDeleteFileOperator, GeminiUploadFileOperator

VIDEO = Path(__file__).parent / "media" / "unloading.mp4"
PROMPTS = [
    "How many crates are unloaded?",
    "Who unloads them?",
    "Which vehicle brings them?",
    "Is a crate damaged?",
    "Does anyone wear a helmet?",
    "What is written on the crates?",
    "Where are the crates put?",
    "When does the first crate touch the ground?",
    "What can be heard?",
    "Describe the scene in one sentence.",
]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["gemini", "example"],
    doc_md=__doc__,
    params={"video": Param(str(VIDEO), type="string", description="Video that the prompts are about")},
)
def gemini_files_cached_video():
    # [START cached]
    upload = GeminiUploadFileOperator(
        task_id="upload",
        source="{{ params.video }}",
        wait_for_active=True,
        deferrable=True,
    )

    cache = GeminiCreateCacheOperator(
        task_id="cache",
        files=upload.output,
        system_instruction="Answer in one sentence. Say so if the video does not show it.",
        ttl=timedelta(hours=1),
    )

    ask = GeminiGenerateContentOperator.partial(
        task_id="ask",
        cached_content=cache.output,
        max_active_tis_per_dag=4,
        map_index_template="{{ task.prompt }}",
    ).expand(prompt=PROMPTS)

    delete_cache = GeminiDeleteCacheOperator(task_id="delete_cache", cache=cache.output).as_teardown(setups=cache)
    delete = GeminiDeleteFileOperator(task_id="delete", file_name=upload.output).as_teardown(setups=upload)

    upload >> cache >> ask >> [delete_cache, delete]
    # [END cached]


gemini_files_cached_video()
