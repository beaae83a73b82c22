"""What the newest race disputes is found again among rows, whatever became of the rows and of the race's file."""

import json
import random
from pathlib import Path

import pytest
from file_faults import DAMAGE, MAY_STAY_WHOLE
from msgspec import Struct

from opeddev_tui.config.settings import Paths
from opeddev_tui.ui.tasks.disputes import recorded
from opeddev_tui.workspace.paths import Workspace

# after these the file is JSON all the same
KEEPS_JSON = ("other line ends", "a byte that is no UTF-8")


class Row(Struct, frozen=True):
    """What a dispute is found by."""

    where: str
    id: str
    now: str = "4"
    settled: bool = False


def _race(workspace: Workspace, run: str, *places: str) -> Path:
    disputed = [{"id": place, "where": f"rows:{place}", "given": "4", "graded": "1", "surprise": 3} for place in places]
    file = workspace.race_file(run)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"report": {"disputed": disputed}}))
    return file


def _found(workspace: Workspace, *rows: Row) -> list[str]:
    return [rows[index].id for index, _ in recorded(workspace, rows, lambda row: row.now)]


def test_rows_are_told_in_the_order_of_the_race_and_only_while_their_grade_is_disputed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, Paths())
    assert _found(workspace, Row("rows:a", "a")) == []
    _race(workspace, "run-1", "e", "d", "c", "b", "a")
    rows = (
        Row("rows:a", "a"),
        Row("rows:b", "b", settled=True),
        Row("rows:c", "c", now="2"),
        Row("elsewhere:d", "d"),
        Row("rows:e", "e"),
        Row("rows:f", "f"),
    )
    assert _found(workspace, *rows) == ["e", "a"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_leaves_the_race_before_it(tmp_path: Path, damage: str) -> None:
    """None of them holds the screen up."""
    workspace = Workspace(tmp_path, Paths())
    _race(workspace, "run-1", "a")
    DAMAGE[damage](_race(workspace, "run-2", "b"), random.Random(3))
    found = _found(workspace, Row("rows:a", "a"), Row("rows:b", "b"))
    readable = damage in KEEPS_JSON or damage in MAY_STAY_WHOLE
    assert found in (["a"], ["b"], []) if readable else found == ["a"]
