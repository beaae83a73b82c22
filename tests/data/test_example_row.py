"""The row that the app and ``init`` show to copy: it is checked and accepted exactly as it is shown."""

import json
from pathlib import Path

import pytest

from opeddev_tui import cli
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Grading, Settings
from opeddev_tui.data.batches import check_data
from opeddev_tui.data.example_row import example_row
from opeddev_tui.workspace.setup import make_workspace

CASES = {
    "as shipped": Grading(),
    "without a rubric": Grading(prompt_template="Task: {task}\n\n{submission}"),
    "the submission alone": Grading(prompt_template="{submission}", completion_template="Grade: {grade}"),
    "with the kind": Grading(prompt_template="{kind}: {task} {rubric} {submission}"),
    "with a column of one's own": Grading(prompt_template="{course}: {submission}"),
    "letters": Grading(grades=["F", "D", "C", "B", "A"]),
    "halves": Grading(grades=["1", "1.5", "2", "2.5"]),
    "another range": Grading(minimum=0, maximum=100),
}


@pytest.mark.parametrize("grading", CASES.values(), ids=CASES)
@pytest.mark.parametrize("table", [False, True], ids=["jsonl", "csv"])
def test_the_row_that_is_shown_can_be_trained_as_it_stands(tmp_path: Path, grading: Grading, table: bool) -> None:
    make_workspace(tmp_path)
    row = json.loads(example_row(grading))
    paths = Settings().paths
    for folder, others in ((paths.base, ("a", "b", "c")), (paths.holdout, ("x", "y", "z"))):
        rows = [row] if folder == paths.base else []
        rows += [{**row, "submission": f"{name * 30} of {folder}"} for name in others]
        write(tmp_path / folder, rows, table=table)
    report = check_data(tmp_path, Settings(grading=grading))
    assert report.problems == []
    assert [len(batch.examples) for batch in report.batches] == [4]
    assert report.holdout is not None
    assert len(report.holdout.examples) == 3


def write(folder: Path, rows: list[dict[str, object]], *, table: bool) -> None:
    """Write ``rows`` into ``folder`` as a person could: objects, or a table with the same columns."""
    folder.mkdir(parents=True, exist_ok=True)
    if table:
        lines = [",".join(rows[0]), *(",".join(f'"{value}"' for value in row.values()) for row in rows)]
        (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_template_that_is_wrong_does_not_keep_a_row_from_being_shown() -> None:
    assert json.loads(example_row(Grading(prompt_template="{submission!r}")))["submission"] == "<div>…</div>"


def test_init_shows_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert cli.main(["init", str(tmp_path / "new")]) == 0
    assert example_row(load(tmp_path / "new").settings.grading) in capsys.readouterr().out
