"""All probe prompts in one table: what changed, in which order, what is searched, and how one is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from scenes import awaiting, make, opened, samples, settle, until
from test_app import text_of

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.screens.generations.probe_list import ORDERS, Probe, chosen, lines, probes
from opeddev_tui.ui.screens.generations.probes import ProbesScreen
from opeddev_tui.ui.screens.generations.screen import GenerationsScreen
from opeddev_tui.ui.screens.generations.snapshots import points
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.tall_rows import broken, most_lines

AT = 1_700_000_000.0
ASKED = ev.Sample(prompt="Task: centre it", reference="Grade: 3", text="", id="row-1", kind="css", reference_grade=3)


def probe(before: int | None, now: int | None, right: int | None = 3, number: int = 0, **other: object) -> Probe:
    asked = replace(ASKED, reference_grade=right, id=f"row-{number}")
    return Probe(number, asked, replace(asked, grade=before, text="old words"),
                 replace(asked, grade=now, text="new words"), **other)  # type: ignore[arg-type] # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [(2, 3, "fixed"), (3, 2, "broken"), (1, 2, "better"), (2, 1, "worse"), (2, 4, "other"), (3, 3, "right"),
     (4, 4, "wrong"), (None, 3, "right"), (None, 5, "wrong"), (3, None, "")],
)  # fmt: skip
def test_a_change_of_a_grade_has_a_word(before: int | None, now: int | None, change: str) -> None:
    assert probe(before, now).change == change


def test_a_prompt_without_grades_is_a_line_as_well() -> None:
    alone = Probe(0, replace(ASKED, reference_grade=None, own=True), None, ASKED)
    ((_, cells),) = lines([alone], 120)
    assert cells[2] == "none"
    assert alone.flips == 0


def test_a_long_id_is_whole_where_there_is_room() -> None:
    name = "batch_100_01/card-centred-00"
    asked = replace(ASKED, id=name)
    ((_, narrow),) = lines([Probe(0, asked, asked, asked)], 80)
    ((_, wide),) = lines([Probe(0, asked, asked, asked)], 200)
    assert str(narrow[0]).endswith("…")
    assert wide[0] == name


@pytest.mark.parametrize(
    "text", ["", "short", "word " * 40, "Grade: 3\n\n\tFeedback: 中文 " * 9, "x" * 500, "\x1b[2J\n\n"]
)
def test_a_broken_text_fits_and_says_where_it_is_cut(text: str) -> None:
    for width in (10, 25, 80):
        for most in (1, 2, 7):
            found, whole = broken(text, width, most), broken(text, width, 10_000)
            assert len(found) <= most
            assert all(cell_len(line) <= width and line.strip() and line.isprintable() for line in found)
            assert (len(whole) > most) == (found != whole) == bool(found and found[-1].endswith("…"))


def test_rows_have_as_many_lines_as_there_is_room_for_and_no_more_than_they_need() -> None:
    for needed in ([1, 1], [3, 1, 9], [5] * 12, [2], []):
        for room in range(60):
            most = most_lines(needed, room)
            used = sum(min(need, most) for need in needed)
            assert most == 1 or used <= room
            assert most >= max(needed, default=1) or sum(min(need, most + 1) for need in needed) > room


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_texts_of_the_table_have_the_lines_that_there_are(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("2", "t")
        await until(pilot, lambda: isinstance(app.screen, ProbesScreen))
        screen, grid = app.screen, app.screen.query_one(Grid)
        assert isinstance(screen, ProbesScreen)
        tall = set[int]()
        for key in ("i", "j", "i", "j", "i"):
            await until(pilot, lambda: 7 <= grid.virtual_size.height <= grid.size.height)
            (height,) = {row.height for row in grid.ordered_rows}
            tall.add(height)
            # another line for each has no room, or no text is cut
            cells = "\n".join(" ".join(row) for row in grid.all_cells)
            assert "…" not in cells or grid.virtual_size.height + 6 > screen.list_room(grid) + grid.header_height
            assert ("⏎" in cells) == (height == 1)
            await pilot.press(key)
        assert grid.cursor_row == 2
        assert max(tall) > 2

        await pilot.resize_terminal(size[0], 12)
        await until(pilot, lambda: {row.height for row in grid.ordered_rows} == {1})
        assert "Grade: 5⏎" in text_of(app)


def test_flips_are_counted_over_every_epoch_of_the_run() -> None:
    assert probe(2, 3, grades=(2, 3, None, 2, 2, 3)).flips == 3
    found = points([], reduce(awaiting(AT)))
    assert [item.flips for item in probes(found, found[0], found[-1])] == [3] * 6


def test_every_order_puts_first_what_it_says() -> None:
    every = [
        probe(3, 3, number=0),
        probe(1, 1, number=1, grades=(1, 2, 1)),
        probe(3, 2, number=2),
        probe(2, 3, number=3),
    ]
    first = {name: chosen(every, name, "")[0].number for name in ORDERS}
    assert first == {
        "as generated": 0, "changed grades first": 2, "most flips first": 1, "farthest from right first": 1, "by id": 0,
    }  # fmt: skip
    assert [item.number for item in chosen(every, "as generated", "broken")] == [2]
    assert [item.number for item in chosen(every, "as generated", "OLD words row-3")] == [3]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_table_is_searched_and_enter_reads_one_side_by_side(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("2", "t")
        await until(pilot, lambda: isinstance(app.screen, ProbesScreen))
        grid = app.screen.query_one(Grid)
        await until(pilot, lambda: grid.row_count == 6)
        assert "before step 1 → step 1 epoch 3" in text_of(app) or "base model → step 1 epoch 3" in text_of(app)
        await pilot.press("left_square_bracket", "slash", *"row-4", "enter")
        await until(pilot, lambda: grid.row_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, GenerationsScreen))
        await until(pilot, lambda: "Prompt 5 of 6" in text_of(app))
        assert "epoch 2" in text_of(app)


async def test_it_follows_a_training(tmp_path: Path) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.press("2", "slash")
        await until(pilot, lambda: isinstance(app.screen, ProbesScreen))
        await until(pilot, lambda: "step 1 epoch 1" in text_of(app))
        app.session.apply([samples(2, AT)])
        app.show_now()
        await until(pilot, lambda: "→ step 1 epoch 2" in text_of(app))
        await pilot.press("escape", "o", "escape")
        await until(pilot, lambda: isinstance(app.screen, GenerationsScreen))
