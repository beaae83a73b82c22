"""A correction says when it is trained: in a batch of its own, after the batches that are there."""

import json
from pathlib import Path

import pytest

from opeddev_tui import cli
from opeddev_tui.config.settings import Grading, Paths
from opeddev_tui.data.example_row import example_row
from opeddev_tui.workspace.setup import make_workspace


def test_a_correction_waits_behind_the_batches_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    make_workspace(tmp_path)
    paths, row = Paths(), json.loads(example_row(Grading()))
    for name in (paths.base, paths.holdout, f"{paths.increments}/batch_100_01", f"{paths.increments}/zuletzt"):
        (tmp_path / name).mkdir(exist_ok=True)
        rows = [json.dumps({**row, "submission": f"{name} {at}" * 9}) for at in range(4)]
        (tmp_path / name / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "page.html").write_text("<b>a page of one's own</b>")
    assert cli.main(["correct", "page.html", "--grade", "2", "--feedback", "Poor."]) == 0
    assert "page.html: grade 2, in batch_corrections_01 (1 row): data of step 3." in capsys.readouterr().out
    assert cli.main(["correct", "page.html", "--grade", "4"]) == 0
    assert "page.html: grade 2 → 4, in batch_corrections_01 (1 row): data of step 3." in capsys.readouterr().out
    assert cli.main(["correct", "page.html", "--undo"]) == 0
    told = "page.html: grade 4 → 2, the correction before it, in batch_corrections_01 (1 row): data of step 3."
    assert told in capsys.readouterr().out
    assert cli.main(["correct"]) == 0
    listed = capsys.readouterr().out
    assert "batch_corrections_01: 1 corrected: data of step 3." in listed
    assert "2  page.html" in listed
    assert cli.main(["status", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["batch"] for step in steps][-1] == "batch_corrections_01"
    assert [step["state"] for step in steps] == ["next", "waiting", "waiting", "waiting"]
