"""``:write FILE`` writes the list on show, as it is filtered and ordered, and never into the person's data."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenes import make, opened, settle, until
from test_app import text_of
from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.errors import Problem
from opeddev_tui.ui.screens.command_line.screen import CommandLine
from opeddev_tui.ui.tasks.lists import ENDINGS, Listed, content, place
from opeddev_tui.ui.widgets.long_list import LongList

Make = Callable[..., Path]


async def write(pilot: Pilot[str], path: str) -> None:
    """Type the command on the screen that is shown."""
    await pilot.press("colon", *f"write {path}", "enter")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("ending", ENDINGS)
async def test_rows_are_written_in_full_as_they_are_filtered_and_ordered(workspace_factory: Make, ending: str) -> None:
    root = workspace_factory(rows=6, holdout=3)
    app = make(root, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        await pilot.press("8")
        await until(pilot, lambda: app.screen.query(LongList) and app.screen.query_one(LongList).count == 6)
        await pilot.press("slash", *"row<4", "enter")
        await until(pilot, lambda: app.screen.query_one(LongList).count == 3)
        await write(pilot, f"lists/rows{ending}")
        path = root / f"lists/rows{ending}"
        await until(pilot, lambda: path.exists() and "Wrote 3 rows" in text_of(app))
        found = read(path)
        assert [int(row["row"]) for row in found] == [1, 2, 3]
        assert found[0]["answer"].startswith("Grade: ")
        assert "\n" in found[0]["answer"]
        assert found[0]["set"] == "base"
        await write(pilot, f"lists/rows{ending}")
        await until(pilot, lambda: isinstance(app.screen, CommandLine) and "exists already" in text_of(app))


async def test_every_list_has_a_file(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        ways = {
            "runs": ("6",), "settings": ("5",), "probes": ("2", "t"), "grades": ("2", "escape", "m"), "compare": ("C",),
        }  # fmt: skip
        for name, keys in ways.items():
            await pilot.press("escape", "1", *keys)
            await pilot.pause()
            await until(pilot, lambda name=name: getattr(app.screen, "mode", "") == name)
            await write(pilot, f"{name}.jsonl")
            await until(pilot, lambda name=name: (tmp_path / f"{name}.jsonl").exists())
            await until(pilot, lambda: not isinstance(app.screen, CommandLine))
        runs, probes = (read(tmp_path / f"{name}.jsonl") for name in ("runs", "probes"))
        assert len(runs) == 2
        assert runs[0]["status"] == "finished"
        assert len(probes) == 6
        assert probes[0]["prompt"].startswith("Task: ")
        assert probes[0]["now"].startswith("Grade: ")


async def test_where_there_is_no_list_or_no_name_it_says_so(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        await write(pilot, "a.csv")
        await until(pilot, lambda: "There is no list on this screen" in text_of(app))
        await pilot.press("escape", "6", "colon", *"write", "enter")
        await until(pilot, lambda: "Write the file after the word" in text_of(app))
        assert not [*tmp_path.glob("*.csv")]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rows", "is written as"), ("rows.parquet", "is written as"), ("~nobody-here/rows.csv", "home folder"),
        ("datasets/incremental/batch_100_09/rows.jsonl", "read as data"), ("linked/a.jsonl", "read as data"),
        ("datasets/incremental/x.csv", "read as data"), ("datasets/proposed/a.jsonl", "read as data"),
        ("lists/../datasets/holdout_webdev_coding/a.csv", "read as data"), ("there.csv", "exists already"),
        ("datasets/processed_webdev_coding/more.jsonl", "read as data"),
    ],
)  # fmt: skip
def test_a_list_never_becomes_data_and_replaces_nothing(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "datasets" / "incremental").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "datasets" / "incremental")
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(Problem, match=why):
        place(tmp_path, loading.load(tmp_path).settings.paths, name)
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_values_come_back_as_they_were() -> None:
    listed = Listed(("a", "b", "c"), [('x,"y"\n\tz', None, 1.5), ("ü", True, 3)])
    assert [json.loads(line) for line in content(listed, ".jsonl").splitlines()] == [
        {"a": 'x,"y"\n\tz', "b": None, "c": 1.5}, {"a": "ü", "b": True, "c": 3},
    ]  # fmt: skip
    rows = list(csv.reader(content(listed, ".csv").splitlines(keepends=True)))
    assert rows == [["a", "b", "c"], ['x,"y"\n\tz', "", "1.5"], ["ü", "True", "3"]]
