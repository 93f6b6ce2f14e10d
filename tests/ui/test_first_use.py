"""What the page shows before its first use is what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import airflow_provider_gemini_files

SCRIPT = Path(airflow_provider_gemini_files.__file__).parent / "ui" / "static" / "first-use.js"
START = Path(__file__).parent.parent.parent / "docs" / "start.md"


def test_first_dag_is_the_one_of_the_documentation():
    [shown] = re.findall(r"const DAG = `(.*?)`;", SCRIPT.read_text(), re.DOTALL)
    documented = re.findall(r"```python\n(.*?)```", START.read_text(), re.DOTALL)

    assert shown in documented
