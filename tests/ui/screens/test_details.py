"""The selected row in full below every list: where there is room, by a key, following the cursor, reading nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import many
import pytest
from msgspec.structs import replace
from scenes import HOSTILE, ending, hostile, make, opened, settle, trained, until
from store import make_store
from test_app import text_of
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import DataTable

from opeddev_tui.analysis.row_records import RowRecord
from opeddev_tui.config import loading
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import SCREEN_KEYS
from opeddev_tui.ui.screens import run_details
from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
from opeddev_tui.ui.screens.detailed import DetailedScreen, WithDetails
from opeddev_tui.ui.screens.generations.probe_details import parts_of as probe_parts
from opeddev_tui.ui.screens.generations.probe_list import probes
from opeddev_tui.ui.screens.generations.probes import ProbesScreen
from opeddev_tui.ui.screens.generations.snapshots import points
from opeddev_tui.ui.screens.rows.details import parts_of as row_parts
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.screens.runs import RunsScreen
from opeddev_tui.ui.screens.settings import SettingsScreen
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.tasks.rows import RowSet, RowTasks
from opeddev_tui.ui.widgets.details import DetailPane, Details
from opeddev_tui.ui.widgets.long_list import LongList

Make = Callable[..., Path]
AT = time.time()
# keys that lead to each list with details, from the monitor
WAYS: dict[type[WithDetails], tuple[str, ...]] = {
    ProbesScreen: ("2", "t"), RunsScreen: ("6",), RowsScreen: ("8",), CheckpointsScreen: ("3",), SettingsScreen: ("5",),
}  # fmt: skip


async def go(app: OpeddevApp, pilot: Pilot[str], kind: type[WithDetails]) -> Any:
    """Go to a list and return its screen once the list is filled."""
    first, *others = WAYS[kind]
    await pilot.press("1", first)
    if not isinstance(app.screen, kind):
        await pilot.press(*others)
    await until(pilot, lambda: isinstance(app.screen, kind))
    screen = app.screen
    await until(pilot, lambda: _count(screen))
    await pilot.pause()
    return screen


@contextlib.asynccontextmanager
async def listed(
    app: OpeddevApp, size: tuple[int, int], kind: type[WithDetails] = ProbesScreen
) -> AsyncIterator[tuple[Any, Pilot[str]]]:
    """Run ``app``, whose training has finished, and open a list; give its screen, filled, and the pilot."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        yield await go(app, pilot, kind), pilot


def _count(screen: Any) -> int:
    lists = screen.query(LongList)
    return int(lists.first().count if lists else screen.query_one(DataTable).row_count)


def every_list(workspace_factory: Make) -> OpeddevApp:
    """Return an app that has two runs, their probe prompts and rows."""
    return make(workspace_factory(rows=5, holdout=3), "finished")


def test_every_screen_with_details_is_walked_here_and_names_its_key() -> None:
    def below(kind: type[WithDetails]) -> set[type[WithDetails]]:
        return {kind} | {other for child in kind.__subclasses__() for other in below(child)}

    assert below(WithDetails) - {WithDetails, DetailedScreen} == set(WAYS)
    for kind in WAYS:
        footer = [key.label for key in SCREEN_KEYS[kind.mode][0][1] if key.footer]
        assert "Details" in footer, kind.mode


@pytest.mark.parametrize("kind", [ProbesScreen, RunsScreen, RowsScreen])
async def test_a_list_shows_its_row_where_there_is_room_and_a_key_is_kept_for_all(
    workspace_factory: Make, kind: type[DetailedScreen]
) -> None:
    app = every_list(workspace_factory)
    async with listed(app, (80, 24), kind) as (screen, pilot):
        assert not screen.query_one(Details).display
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: screen.query_one(Details).display and "[1] " in text_of(app))
        await pilot.press("i")
        await until(pilot, lambda: not screen.query_one(Details).display)
        for other in (ProbesScreen, RunsScreen, RowsScreen, SettingsScreen):
            there = await go(app, pilot, other)
            await until(pilot, lambda shown=there: not shown.has_class("-details"))
        await pilot.press("i")
        screen = await go(app, pilot, kind)
        await until(pilot, lambda: screen.query_one(Details).display)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: screen.query_one(Details).size.width == 80)
        assert screen.query_one(Details).display


@pytest.mark.parametrize("kind", [ProbesScreen, RunsScreen, RowsScreen])
async def test_the_details_follow_the_cursor_and_give_the_focus_back(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, kind: type[DetailedScreen]
) -> None:
    read: list[str] = []
    monkeypatch.setattr(RowTasks, "as_seen", lambda *_: read.append("encoded"))
    monkeypatch.setattr(RowTasks, "as_written", lambda *_: read.append("read"))
    app = every_list(workspace_factory)
    async with listed(app, (120, 40), kind) as (screen, pilot):
        details = screen.query_one(Details)
        await until(pilot, lambda: details.text)
        before = details.text
        await pilot.press("j")
        await until(pilot, lambda: details.text != before)
        await pilot.press("k")
        await until(pilot, lambda: details.text == before)
        await pilot.press("alt+2")
        await until(pilot, lambda: app.focused is screen.query(DetailPane)[1])
        await pilot.press("escape")
        await until(pilot, lambda: app.focused is screen.query_one(screen.list_selector) and app.screen is screen)
        await pilot.press("i", "alt+1")
        await until(pilot, lambda: details.display and app.focused is screen.query(DetailPane)[0])
        await pilot.press("i")
        await until(pilot, lambda: app.focused is screen.query_one(screen.list_selector))
        assert not read


async def test_a_cursor_that_runs_is_not_held_up_by_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listed(make(tmp_path, "finished"), (120, 40)) as (screen, pilot):
        await until(pilot, lambda: screen._resting is None)
        drawn: list[str] = []
        kept = screen.detail_parts
        monkeypatch.setattr(screen, "detail_parts", lambda: (drawn.append("drawn"), kept())[1])
        for _ in range(50):
            screen.follow_cursor()
        assert len(drawn) == 1
        await until(pilot, lambda: screen._resting is None)
        assert len(drawn) == 2


async def test_a_long_text_is_scrolled_from_the_list(tmp_path: Path) -> None:
    async with listed(make(tmp_path, "finished"), (80, 20)) as (screen, pilot):
        await pilot.press("i")
        first = screen.query(DetailPane).first()
        await until(pilot, lambda: first.max_scroll_y > 0)
        await pilot.press("J")
        await until(pilot, lambda: first.scroll_y > 0)
        await pilot.press("K")
        await until(pilot, lambda: first.scroll_y == 0)
        await pilot.press("J", "j")
        await until(pilot, lambda: first.scroll_y == 0)


async def test_all_texts_are_in_one_frame_where_they_cannot_be_read_beside_each_other(tmp_path: Path) -> None:
    async with listed(make(tmp_path, "finished"), (70, 40)) as (screen, pilot):
        details = screen.query_one(Details)
        await until(pilot, lambda: details.has_class("-together") and "In full" in text_of(screen.app))
        one = screen.query(DetailPane).first().text
        assert one.index("Prompt row-0") < one.index("Before: ") < one.index("Now: ") < one.index("Reference")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: not details.has_class("-together") and "[4] Reference" in text_of(screen.app))


async def test_a_search_that_finds_nothing_shows_nothing(tmp_path: Path) -> None:
    async with listed(make(tmp_path, "finished"), (120, 40)) as (screen, pilot):
        await until(pilot, lambda: screen.query_one(Details).display)
        await pilot.press("slash", *"no such word")
        await until(pilot, lambda: not screen.query_one(Details).display)
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(Details).display)


@pytest.mark.parametrize("kind", [CheckpointsScreen, SettingsScreen])
async def test_details_that_are_always_shown_can_be_hidden(tmp_path: Path, kind: type[WithDetails]) -> None:
    app = make_store(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        screen = await go(app, pilot, kind)
        details = screen.query_one(f"#{kind.details_id}")
        await until(pilot, lambda: details.display)
        lines = screen.query_one(DataTable).size.height
        await pilot.press("i")
        await until(pilot, lambda: not details.display and screen.query_one(DataTable).size.height > lines)


# --- what is in them


def test_a_probe_has_its_texts_its_grades_and_how_they_changed() -> None:
    found = points([], reduce(trained(1, AT)))
    asked, before, now, reference = probe_parts(probes(found, found[0], found[-1])[2], "base model", "step 1 epoch 3")
    assert (asked.title, asked.below) == ("Prompt row-2 · css", "grades 2 3 4 5, 3 flips")
    assert "class='card2'" in asked.text.plain
    assert (before.title, before.below) == ("Before: base model", "grade 2 (-1 from reference)")
    assert (now.title, now.below) == ("Now: step 1 epoch 3", "grade 5 (+2 from reference)")
    assert "+‹" in now.text.plain
    assert (reference.below, reference.text.plain.splitlines()[0]) == ("grade 3", "Grade: 3")


def test_a_row_has_every_message_its_answer_and_what_is_recorded() -> None:
    turns = (Message("system", "SYSTEM"), Message("user", "first"), Message("assistant", "reply"), Message("user", "q"))
    row = Example(turns, "Grade: 2", 2, "css", "file:1", "id-1", "submitted", weight=0.5, group="team")
    rows = RowSet("hold-out", True, [row], {0: RowRecord({1: 0.5}, {1: 3})}, ("1", "2", "3", "4", "5"))
    asked, answer, recorded = row_parts(rows, 0, 1)
    assert asked.title == "Asked · id-1 · css · group team · weight 0.5"
    assert asked.text.plain == "user:\nfirst\nassistant:\nreply\nuser:\nq"
    assert (answer.text.plain, answer.below) == ("Grade: 2", "grade 2")
    assert "epoch 1 · loss 0.5000 · grade 3" in recorded.text.plain


def run_parts(events: list[ev.AnyEvent], settings: dict[str, dict[str, Any]], status: str = "finished") -> list[str]:
    row = RunRow("run-1", reduce(events), status)
    return [part.text.plain for part in run_details.parts_of(row, settings, 99)]


def test_a_run_has_what_came_of_it_its_epochs_and_its_settings() -> None:
    events = [*trained(1, AT), ev.Annotated(at=AT, epoch=3, note="shorter answers"), ev.Warned(at=AT, message="slow")]
    went, epochs, what = run_parts(events, {"lora": {"enabled": True, "r": 8}, "training": {"seed": 7}, "ui": {"x": 1}})
    assert went.splitlines()[0].startswith("finished  best epoch 3 of 3")
    assert went.index("shorter answers") < went.index("slow") < went.index("\nepoch 3") < went.index("\nepoch 1")
    assert "stop (person): The hold-out loss fell from 1.3229 to 0.9641" in went
    assert epochs.splitlines()[-1].startswith("3 ★")
    assert "lora.enabled   true" in what
    assert "training.seed  7" in what
    # what another line says is not said again
    seed = run_parts(events, {"training": {"seed": 42, "resume_learning_rate": 1e-5, "num_train_epochs": 9}})[2]
    assert [line.split()[0] for line in seed.splitlines()][-2:] == ["seed", "training.num_train_epochs"]
    assert "lora.r" not in what
    failed = ending(ev.RunFailed(at=AT, kind="x", message="CUDA out of memory"))(AT)
    assert "✗ CUDA out of memory" in run_parts(failed, {}, "failed")[0]
    stopped = ending(ev.Interrupted(at=AT, reason="by you", checkpoint="", global_step=1))(AT)
    assert "by you; it can be resumed" in run_parts(stopped, {}, "interrupted")[0]


@pytest.mark.parametrize("width", [20, 35, 60, 95])
def test_all_values_of_a_run_stand_in_one_column(width: int) -> None:
    settings = {"training": {"per_device_train_batch_size": 64}, "data": {"max_length": 512}, "lora": {"r": 99}}
    row = RunRow(
        "run-1", reduce([*trained(1, AT), ev.Annotated(at=AT, epoch=3, note="a longer note " * 9)]), "finished"
    )
    for part, name in zip(run_details.parts_of(row, settings, width)[::2], ("note", "seed"), strict=True):
        lines = part.text.plain.splitlines()
        first = next(line for line in lines if line.startswith(name))
        column = len(first) - len(first[len(name) :].lstrip())
        names = {part.text.plain[span.start : span.end].strip() for span in part.text.spans if span.style == "$muted"}
        assert {line for line in lines if line[:column].strip() and line.strip() not in names} >= {first}
        for line in lines:
            assert line.strip() in names or (line[column - 2 : column] == "  " and line[column] != " "), line
            assert line.strip() in names or len(line.rstrip()) <= width


def test_nothing_dangerous_of_a_text_reaches_the_details() -> None:
    state = reduce(hostile(AT))
    found = points([], state)
    texts: list[Content | str] = []
    for part in probe_parts(probes(found, found[0], found[-1])[0], HOSTILE, HOSTILE):
        texts.append(part.text)
    bad = Example((Message("user", HOSTILE),), HOSTILE, None, HOSTILE, HOSTILE, HOSTILE, HOSTILE, group=HOSTILE)
    texts += [part.text for part in row_parts(RowSet("x", False, [bad], {}), 0, 1)]
    row = RunRow(HOSTILE, replace_damage(state), "failed")
    texts += [part.text for part in run_details.parts_of(row, {"model": {"name": HOSTILE}}, 60)]
    for text in texts:
        assert "\x1b" not in str(text)
        assert "\u202e" not in str(text)


def replace_damage(state: Any) -> Any:
    """Return the state with everything in it that a journal may bring into the details."""
    state.damage = HOSTILE
    state.failure = ev.RunFailed(at=AT, kind=HOSTILE, message=HOSTILE)
    state.notes = [ev.Annotated(at=AT, epoch=1, note=HOSTILE)]
    state.started = replace(state.started, parent=HOSTILE)
    return state


async def test_many_runs_leave_room_for_the_details(tmp_path: Path) -> None:
    app = many.make(tmp_path, 30, per_epoch=2)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        screen = await go(app, pilot, RunsScreen)
        await until(pilot, lambda: screen.query_one(Details).display and screen.query_one(Details).size.height > 10)
        await pilot.press("G")
        table = screen.query_one(DataTable)
        await until(pilot, lambda: table.cursor_row >= 0 and table.size.height < 20)


def test_a_workspace_without_overrides_has_nothing_changed(tmp_path: Path) -> None:
    from msgspec import to_builtins

    from opeddev_tui.analysis.run_facts import changed

    settings = to_builtins(loading.load(tmp_path).settings)
    assert changed(settings) == []
    settings["training"]["learning_rate"] = 3e-5
    assert changed(settings) == [("training.learning_rate", "3e-05")]
