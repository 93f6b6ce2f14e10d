"""The matrix: what it pins, what it counts, and how it shows what became of each combination."""

from __future__ import annotations

import sys

import matrix
import pytest
from matrix import Row

REPORT = '<testsuites><testsuite tests="9" failures="1" errors="1" skipped="{skipped}"/></testsuites>'


@pytest.fixture
def tested(monkeypatch) -> list[tuple[str, str, str]]:
    """Return the combinations that are tested, of which those with Python 3.12 fail."""
    combinations: list[tuple[str, str, str]] = []

    def test(python: str, airflow: str, genai: str, pytest_arguments: list[str]) -> Row:
        combinations.append((python, airflow, genai))
        return Row(python, airflow, genai, "result", failed=python == "3.12")

    monkeypatch.setattr(matrix, "test", test)
    monkeypatch.setattr(matrix, "find_python", lambda version: None if version == "9.9" else "python")
    return combinations


def test_table_has_a_row_for_each_combination():
    rows = [
        Row("3.13.0", "3.3.2", "3.6.1", "passed 9, failed 1", failed=True, seconds=599.6),
        Row("3.14", "lowest", "newest", "not installed"),
    ]

    assert matrix.table(rows).splitlines() == [
        "| Python | Airflow | google-genai | result | duration |",
        "|---|---|---|---|---|",
        "| 3.13.0 | 3.3.2 | 3.6.1 | passed 9, failed 1 | 10 min 0 s |",
        "| 3.14 | lowest | newest | not installed | 0 min 0 s |",
    ]


@pytest.mark.parametrize(
    ("skipped", "told"),
    [(3, "passed 4, failed 2, skipped 3"), (0, "passed 7, failed 2"), (7, "passed 0, failed 2, skipped 7")],
)
def test_tests_are_counted(skipped, told):
    assert matrix.counts(REPORT.format(skipped=skipped)) == told


def test_lowest_is_the_newest_patch_release_of_the_lower_bound(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["other>=1", "apache-airflow>=3.1.2,<4"]')
    monkeypatch.setattr(matrix, "ROOT", tmp_path)

    assert matrix.pin("apache-airflow", "lowest") == "apache-airflow==3.1.*"
    assert matrix.pin("apache-airflow", "newest") == "apache-airflow"
    with pytest.raises(ValueError, match="no lower bound for google-genai"):
        matrix.pin("google-genai", "lowest")


@pytest.mark.parametrize(
    ("python", "requires", "is_excluded"),
    [
        ("3.13.0", ["<3.14,>=3.10", ">=3.10"], False),
        ("3.14.1", ["<3.14,>=3.10", None], True),
        ("3.14.1", [None, "!=3.15,>=3.10"], False),
        ("3.10.13", ["<3.14,>=3.10", ">=3.11"], True),
    ],
)
def test_python_that_a_package_excludes_is_not_possible(python, requires, is_excluded):
    assert matrix.excludes(python, requires) is is_excluded


def test_interpreter_is_found_by_its_path_and_none_is_made_up():
    # The environments of the matrix do not have it.
    pytest.importorskip("uv")
    assert matrix.find_python(sys.executable) == sys.executable
    assert matrix.find_python("9.9") is None


def test_combination_that_fails_does_not_stop_the_others(tested, tmp_path, capsys):
    table = tmp_path / "table.md"

    code = matrix.main(["--python", "3.12", "--python", "3.13", "--airflow", "newest", "--table", str(table)])

    assert code == 1
    assert tested == [(python, "newest", genai) for python in ("3.12", "3.13") for genai in ("lowest", "newest")]
    assert table.read_text().count("| result |") == 5
    assert table.read_text() in capsys.readouterr().out


def test_each_python_is_tested_if_none_is_chosen(tested):
    assert matrix.main(["--genai", "lowest", "-k", "files"]) == 1
    assert tested == [(python, airflow, "lowest") for python in matrix.PYTHONS for airflow in ("lowest", "newest")]


def test_chosen_python_that_is_not_installed_is_an_error(tested, capsys):
    with pytest.raises(SystemExit):
        matrix.main(["--python", "3.13", "--python", "9.9"])

    assert "Python 9.9 is not installed here" in capsys.readouterr().err
    assert tested == []
