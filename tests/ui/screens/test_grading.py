"""The grading screen: race, trust and disputed rows, by keys, from journals and rows alone."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from evidence import notices
from graded import FIVE, disputes, grading, make, race, raced_step, readings, trained
from msgspec.structs import replace
from scenes import opening, run_id, until
from screen_text import words_of
from test_app import text_of
from textual.containers import VerticalScroll
from textual.pilot import Pilot

from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.config.settings import Grade
from opeddev_tui.data.corrections import read_overlay
from opeddev_tui.errors import Problem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.grade_words import graded_by, steadied_heads, within_words
from opeddev_tui.runs.state import reduce
from opeddev_tui.serving.ask_rule import ask_rule
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keymap import keymap_of
from opeddev_tui.ui.screens.grading.regrade import RegradeScreen, grade_keys
from opeddev_tui.ui.screens.grading.screen import GradingScreen
from opeddev_tui.ui.tasks.disputes import Dispute
from opeddev_tui.ui.tasks.grading import GradingTasks, Rows, listed
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.text_pane import TextPane

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)
AT = 1_700_000_000.0


# --- the race


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
async def test_the_race_shows_its_figures_and_says_what_wins(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, size):
        shown = words_of(app.screen)
        for part in (
            "kappa",
            "to cheap",
            "exact",
            "±1",
            "off by",
            "* ",
            "The head on the step's model grades. Its kappa",
        ):
            assert part in shown, part
        assert graded_by("step head") in shown
        assert "the hold-out bears it out" in shown
        # on the smallest terminal it is scrolled to
        assert "all compared on the same 50 hold-out rows" in shown or size == SMALL
        if size == LARGE:
            assert "seconds" in shown
            assert "signed" in shown
            assert "calib." in shown


@pytest.mark.parametrize("steadied", [0, 100])
async def test_heads_that_are_held_steady_are_said_to_be(tmp_path: Path, steadied: int) -> None:
    first, *later = raced_step(1, AT)
    head = ev.HeadFitted(head="base", epoch=0, rows=200, steadied=steadied, at=AT)
    app = make(tmp_path, [[first, head, *later]])
    async with grading(app, LARGE):
        shown = words_of(app.screen)
        assert "all compared on the same 50 hold-out rows" in shown
        told = steadied_heads(100)
        assert (told in shown) == bool(steadied)


async def test_a_wider_screen_leaves_out_fewer_columns(tmp_path: Path) -> None:
    counts = []
    for number, size in enumerate((SMALL, MIDDLE, LARGE)):
        folder = tmp_path / str(number)
        folder.mkdir()
        app = make(folder, [raced_step(1, AT)])
        async with grading(app, size):
            heading = next(line for line in text_of(app).splitlines() if "kappa" in line and "way" in line)
            for title in ("to cheap", "off by", "−log p"):
                heading = heading.replace(title, title.replace(" ", "-"))
            titles = heading.replace(" 95%", "-interval").replace("│", " ").replace("┃", " ").split()
            assert len(set(titles)) == len(titles), "each title is there once"
            counts.append(len(titles))
    assert counts == sorted(set(counts))


async def test_the_whole_race_is_in_view_where_there_is_room(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, LARGE) as (_, pilot):
        race = app.screen.query_one("#race", VerticalScroll)
        await until(pilot, lambda: race.size.height)
        assert race.max_scroll_y == 0


async def test_left_and_right_show_the_races_of_other_steps(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT), raced_step(1, AT + 1), trained(2, AT + 2)])
    async with grading(app, MIDDLE) as (_, pilot):
        assert "Grades of step 1" in text_of(app)
        await pilot.press("left")
        assert "Grades of step 0" in text_of(app)
        await pilot.press("left")
        assert "Grades of step 0" in text_of(app)
        await pilot.press("right", "right")
        await pilot.pause()
        shown = words_of(app.screen)
        assert "Grades of step 2" in shown
        assert "no race and no grades" in shown
        assert "opeddev-tui race --from latest" in shown


def with_grades(events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """Return a raced step whose race records the grade of each row, as races do."""
    read = next(event for event in events if isinstance(event, ev.GradesRead))
    grades = {way.way: way.grades for way in read.ways}

    def whole(event: ev.AnyEvent) -> ev.AnyEvent:
        if not isinstance(event, ev.RaceHeld):
            return event
        ways = tuple(replace(way, grades=grades.get(way.way, ())) for way in event.ways)
        return replace(event, ways=ways, ids=read.ids, reference=read.reference)

    return [whole(event) for event in events]


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
async def test_whether_the_step_beat_the_one_before_is_said(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, [with_grades(raced_step(0, AT)), with_grades(raced_step(1, AT + 1))])
    async with grading(app, size) as (_, pilot):
        shown = words_of(app.screen)
        assert "Grading, step 0 to 1: kappa 0." in shown
        assert "by the head on the step's model, no difference beyond noise (+0.00, 95%" in shown
        await pilot.press("left")
        await pilot.pause()
        assert "Grading, step" not in words_of(app.screen), "there is no step before the first"
        await pilot.press("1")
        await pilot.pause()
        assert "no difference beyond noise." in words_of(app.screen), "the bar says it in short"


async def test_before_the_race_the_grades_so_far_are_shown(tmp_path: Path) -> None:
    app = make(tmp_path, [[*opening(1, AT), readings(0, AT)]])
    async with grading(app, MIDDLE):
        app.session.trained_by = "mine"
        app.show_now()
        shown = words_of(app.screen)
        assert "Grades of 50 hold-out rows after epoch 0" in shown
        assert "base head" in shown
        assert "to cheap" not in shown


async def test_a_race_that_failed_says_why(tmp_path: Path) -> None:
    held = ev.RaceHeld(at=AT, epoch=3, problem="the hold-out has no [red]grades[/] \x1b[c.")
    app = make(tmp_path, [[*trained(1, AT), held]])
    async with grading(app, SMALL):
        assert "No race was held: the hold-out has no [red]grades[/]" in words_of(app.screen)


async def test_without_a_step_it_says_so(tmp_path: Path) -> None:
    app = make(tmp_path, [])
    async with grading(app, SMALL):
        assert "No step has begun yet" in words_of(app.screen)


async def test_a_race_held_while_another_process_trains_is_shown(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT, held=False)])
    async with grading(app, MIDDLE):
        assert "This step ended without a race" in words_of(app.screen)
        app.session.apply([race(3, time.time())])
        app.show_now()
        assert "The head on the step's model grades" in words_of(app.screen)


# --- trust


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
async def test_trust_says_how_much_can_be_graded_without_a_person(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, [raced_step(1, AT)], grade={"tolerance": 0})
    async with grading(app, size, ("tab",)) as (_, pilot):
        shown = words_of(app.screen)
        assert "No threshold is borne out at 90% agreement: a person looks at all rows" in shown
        assert "Checked with thresholds chosen on other rows" in shown
        if size != SMALL:
            assert "predicted probability" in shown
            assert "90% sets hold the right grade in" in shown
            assert "the surer one" in shown
        await pilot.press(*["minus"] * 5)
        assert "At 85% agreement 54% of the rows can be graded without a person" in words_of(app.screen)


async def test_keys_move_the_wanted_agreement_within_its_bounds(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)], grade={"tolerance": 0})
    async with grading(app, MIDDLE, ("tab", "plus")) as (screen, pilot):
        assert "at 91% agreement" in words_of(app.screen)
        await pilot.press(*["minus"] * 45)
        assert "At 50% agreement" in words_of(app.screen)
        await pilot.press(*["plus"] * 55)
        assert "at 100% agreement" in words_of(app.screen)
        await pilot.press("minus", "x")
        await until(pilot, lambda: screen.trust_is_there)
        await pilot.pause()
        assert "agreement within one grade" in words_of(app.screen)


EIGHT = tuple("ABCDEFGH")


def trust_of(screen: GradingScreen) -> str:
    """Return the sentence on what can be graded without a person."""
    return screen.query_one("#trust", TextPane).text.partition("\n")[0]


@pytest.mark.parametrize("scale", [FIVE, EIGHT])
@pytest.mark.parametrize("agreement", [50, 70, 90, 100])
@pytest.mark.parametrize("tolerance", [0, 1, 5])
async def test_trust_opens_on_the_settings_by_which_the_grader_asks(
    tmp_path: Path, agreement: int, tolerance: int, scale: tuple[str, ...]
) -> None:
    events = raced_step(1, AT, labels=scale)
    grade = Grade(agreement=agreement, tolerance=tolerance)
    app = make(tmp_path, [events], labels=scale, grade={"agreement": agreement, "tolerance": tolerance})
    state = reduce(events)
    rule = ask_rule(state, 3, state.races[3].chosen, grade, tuple(scale))
    async with grading(app, LARGE, ("tab",)) as (screen, pilot):
        shown = trust_of(screen).replace(":", " ")
        assert f"t {agreement}% agreement{within_words(rule.tolerance)} " in shown
        # the same threshold as the Grader's
        asks = "looks at all" if rule.threshold is None else f"a confidence of {rule.threshold:.2f} or more"
        assert asks in shown
        # a setting that is changed is followed until a key has chosen
        loaded = app.session.loaded
        other = replace(loaded.settings, grade=Grade(agreement=83, tolerance=0))
        app.use_settings(replace(loaded, settings=other))
        await until(pilot, lambda: screen.trust_is_there and "t 83% agreement" in trust_of(screen))
        await pilot.press("plus")
        app.use_settings(loaded)
        await pilot.pause()
        assert "t 84% agreement" in trust_of(screen)


async def test_a_key_counts_as_many_grades_off_as_the_settings_say(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT, labels=EIGHT)], labels=EIGHT, grade={"tolerance": 3})
    async with grading(app, LARGE, ("tab",)) as (screen, pilot):
        for near in (" within 3 grades", "", " within one grade", " within 3 grades"):
            await until(pilot, lambda: screen.trust_is_there)
            await pilot.pause()
            assert f"t 90% agreement{near} " in trust_of(screen).replace(":", " ")
            await pilot.press("x")


async def test_keys_show_other_ways_and_epochs(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, MIDDLE, ("tab",)) as (screen, pilot):
        assert "Trust · the head on the step's model · 50 hold-out rows, epoch 3" in text_of(app)
        await pilot.press("w")
        await until(pilot, lambda: "Trust · the head on the base model" in text_of(app))
        await pilot.press("[", "[")
        await until(pilot, lambda: screen.trust_is_there and "epoch 1" in text_of(app))
        await pilot.press("]", "]", "]")
        await until(pilot, lambda: "epoch 3" in text_of(app))


@pytest.mark.parametrize("labels", [("F", "E", "D", "C", "B", "A"), tuple(str(grade) for grade in range(21))])
async def test_other_scales_have_trust_and_race_too(tmp_path: Path, labels: tuple[str, ...]) -> None:
    app = make(tmp_path, [raced_step(1, AT, labels=labels)], labels=labels)
    async with grading(app, LARGE):
        assert f"of {len(labels)} grades" in words_of(app.screen)


# --- disputed rows


async def open_first(app: OpeddevApp, pilot: Pilot[str]) -> None:
    await pilot.press("shift+tab", "enter")
    await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
    await pilot.pause()


async def test_disputed_rows_are_searched_by_name_and_by_words_and_letters_are_no_keys_then(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, MIDDLE) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await pilot.press("slash")
        grid, every = screen.query_one(Grid), len(screen.corrections.listed)
        await pilot.press(*"page 3 of base")
        await until(pilot, lambda: grid.row_count == 1)
        assert f"1 of {every} with “page 3 of base”" in words_of(app.screen)
        assert app.screen is screen
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
        assert "Page 3 of base" in words_of(app.screen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape")
        await until(pilot, lambda: grid.row_count == every)


async def test_of_many_disputed_rows_the_most_disputed_are_listed_and_a_key_lists_all(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, MIDDLE, ("shift+tab",)) as (screen, pilot):
        every = disputes(screen, 14)
        assert len(every) == 14
        screen.corrections.take_disputed(every)
        grid = screen.query_one(Grid)
        assert grid.row_count == 10
        await pilot.pause()
        assert "The 10 most disputed rows of 14: questions, not errors." in words_of(app.screen)
        assert "the others are less often wrong, a lists all" in words_of(app.screen)
        # a search is of all rows, and opening one knows what disputes it
        await pilot.press("slash", *every[12].id)
        await until(pilot, lambda: grid.row_count == 1)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
        assert "the head, fitted without it, gives" in words_of(app.screen)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is screen and grid.row_count == 10)
        await pilot.press("a")
        assert grid.row_count == 14
        assert "14 disputed rows: questions, not errors." in words_of(app.screen)
        await pilot.press("a")
        assert grid.row_count == 10


async def test_a_disputed_row_is_read_regraded_and_undone_by_keys(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    file = tmp_path / "datasets/processed_webdev_coding/rows.jsonl"
    before = file.read_bytes()
    async with grading(app, MIDDLE) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        shown = words_of(app.screen)
        assert "Grade 1 · the head, fitted without it, gives 5 (surprise 3.20)" in shown
        assert "Page 0 of base" in shown
        assert "Feedback on base 0." in shown
        await pilot.press("4")
        assert "4 instead of 1: Enter changes it, Esc leaves it as it is" in words_of(app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: "→ 4" in text_of(app))
        assert [(item.was, item.now) for item in read_overlay(tmp_path).corrections] == [("1", "4")]
        assert "5 disputed rows" in words_of(app.screen)
        await pilot.press("u")
        await until(pilot, lambda: "→ 4" not in text_of(app))
        assert not read_overlay(tmp_path).corrections
        assert "as in your file. u gives it yours again." in notices(app)
        await pilot.press("u")
        await until(pilot, lambda: "→ 4" in text_of(app))
        assert [(item.was, item.now) for item in read_overlay(tmp_path).corrections] == [("1", "4")]
    assert file.read_bytes() == before


async def test_a_correction_has_a_note_and_can_confirm(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, SMALL) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        await pilot.press("1", "n", *"seen", "enter")
        assert "1, the grade that it has: Enter confirms it, Esc leaves it as it is" in words_of(app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: "✓ confirmed" in text_of(app))
        found = read_overlay(tmp_path).corrections[0]
        assert (found.was, found.now, found.note) == ("1", "1", "seen")


async def test_a_correction_is_not_lost_to_a_reading_that_began_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    go_on, begun, reads = threading.Event(), threading.Event(), []
    async with grading(app, SMALL) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        read = GradingTasks._rows

        def slowly(tasks: GradingTasks) -> Rows:
            found = read(tasks)
            reads.append(found)
            if len(reads) == 1:
                begun.set()
                go_on.wait(60)
            return found

        monkeypatch.setattr(GradingTasks, "_rows", slowly)
        try:
            await until(pilot, lambda: not screen.corrections._reading)
            screen.corrections.read()
            await until(pilot, begun.is_set)
            await pilot.press("1", "enter")
            await until(pilot, lambda: "✓ confirmed" in text_of(app))
        finally:
            go_on.set()
        await until(pilot, lambda: len(reads) == 2 and screen.corrections.rows is reads[1])
        assert "✓ confirmed" in text_of(app)


@pytest.mark.parametrize("scale", [FIVE, ("F", "E", "D", "C", "B", "A")], ids="/".join)
async def test_no_key_of_the_scale_changes_a_grade_by_itself(tmp_path: Path, scale: tuple[str, ...]) -> None:
    app = make(tmp_path, [raced_step(1, AT, labels=scale)], labels=scale)
    async with grading(app, SMALL) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await pilot.press("shift+tab")
        for leave in ("escape", "u", "q"):
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
            for key in (*grade_keys(scale), *"0123456789"):
                await pilot.press(key)
                assert isinstance(app.screen, RegradeScreen), key
                told = (f"{key.upper()} instead of", "the grade that it has", f"{key} is no grade of the scale")
                assert any(words in words_of(app.screen) for words in told) == (scale == FIVE or key.isalpha()), key
            await pilot.press(next(iter(grade_keys(scale))), leave)
            assert isinstance(app.screen, RegradeScreen), leave
            assert "A correction is kept beside your files" in words_of(app.screen)
            await pilot.press("escape")
            assert app.screen is screen
        assert not read_overlay(tmp_path).corrections


async def test_grades_of_several_signs_are_typed(tmp_path: Path) -> None:
    labels = tuple(str(grade) for grade in range(21))
    app = make(tmp_path, [raced_step(1, AT, labels=labels)], labels=labels)
    async with grading(app, MIDDLE) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        await pilot.press("enter", *"21", "enter")
        await pilot.pause()
        assert "21 is not a grade here" in words_of(app.screen)
        await pilot.press("backspace", "backspace", *"17", "enter")
        await until(pilot, lambda: "→ 17" in text_of(app))
        assert notices(app).startswith("base-000: the grade is 17 now")
        assert read_overlay(tmp_path).corrections[0].now == "17"


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (FIVE, "12345"),
        (("F", "E", "D", "C", "B", "A"), "fedcba"),
        (("fail", "pass"), ""),
        (("1.0", "1.5"), ""),
        (tuple(str(grade) for grade in range(1, 11)), ""),
        (("a", "A"), ""),
        (("G", "N"), ""),
        (("n", "u"), ""),
    ],
)
def test_only_scales_of_single_signs_have_a_key_per_grade(labels: tuple[str, ...], keys: str) -> None:
    assert "".join(grade_keys(labels)) == keys


def test_a_grade_leaves_a_key_that_a_person_gave_to_something_else() -> None:
    own = {"regrade.note": OwnKeys(("4",), "config.toml"), "regrade.undo": OwnKeys(("b",), "config.toml")}
    assert not grade_keys(FIVE, keymap_of(own))
    assert not grade_keys(("C", "B", "A"), keymap_of(own))
    assert grade_keys(("3", "2", "1"), keymap_of(own))


async def test_read_only_nothing_is_written(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(1, AT)], read_only=True)
    async with grading(app, MIDDLE) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        assert "read only" in words_of(app.screen)
        await pilot.press("4", "enter", "n", "u")
        assert isinstance(app.screen, RegradeScreen)
        await pilot.press("escape")
        await pilot.press("d", "u")
        assert "This is read only" in notices(app)
        assert not read_overlay(tmp_path).corrections


@pytest.mark.parametrize("worse", [True, False])
async def test_disputes_of_a_head_that_loses_to_n_grams_are_doubted_in_their_list(tmp_path: Path, worse: bool) -> None:
    *events, end = raced_step(1, AT)
    held = events[-1]
    assert isinstance(held, ev.RaceHeld)
    to_cheap = Figure(-0.3, -0.5, -0.1) if worse else Figure(-0.1, -0.3, 0.1)
    changed = {"base head": {"to_cheap": to_cheap}, "n-grams": {"cheap": True}}
    ways = tuple(replace(way, **changed.get(way.way, {})) for way in held.ways)
    app = make(tmp_path, [[*events[:-1], replace(held, ways=ways), end]])
    async with grading(app, MIDDLE) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await pilot.press("tab", "tab")
        await until(pilot, lambda: "questions, not errors" in words_of(app.screen))
        doubted = "This head grades worse than the n-gram grader: its disputes say little of your grades."
        assert (doubted in words_of(app.screen)) == worse


async def test_an_unfinished_run_is_named_that_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opeddev_tui.grading.doctor.cannot_resume", lambda *_: "The unfinished run began otherwise.")
    app = make(tmp_path, [raced_step(1, AT)])
    told: list[str] = []
    async with grading(app, MIDDLE) as (screen, pilot):
        monkeypatch.setattr(app, "tell", lambda text, **_: told.append(text))
        screen.corrections.take_disputed(disputes(screen))
        await open_first(app, pilot)
        await pilot.press("5", "enter")
        await until(pilot, lambda: len(told) == 2)
        assert "counts in every step that is trained from now on" in told[0]
        assert told[1] == "The unfinished run began otherwise."


async def test_another_process_finds_the_disputed_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, MIDDLE) as (screen, pilot):
        told = {
            "disputed": [dict(zip(Dispute.__struct_fields__, _values(item), strict=True)) for item in disputes(screen)]
        }
        script = (
            "import sys; print('features 10/30', file=sys.stderr, flush=True); input; "
            f"print({json.dumps(json.dumps(told))})"
        )
        monkeypatch.setattr(GradingTasks, "_command", lambda _: [sys.executable, "-c", script])
        seen: list[str] = []
        progress = screen.corrections._progress
        monkeypatch.setattr(screen.corrections, "_progress", lambda words: (seen.append(words), progress(words)))
        await pilot.press("d")
        await until(pilot, lambda: screen.corrections.disputed is not None)
        await pilot.pause()
        assert "reading hidden states: 10 of 30 rows" in seen
        assert "6 disputed rows" in words_of(app.screen)
        assert "base-003" in text_of(app)


def _values(item: Dispute) -> list[object]:
    return [getattr(item, name) for name in Dispute.__struct_fields__]


async def test_the_disputed_rows_of_the_newest_race_are_there_at_once(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT), raced_step(1, AT)])
    where = f"{tmp_path}/datasets/processed_webdev_coding/rows.jsonl"
    disputed = [
        {"id": "base-003", "where": f"{where}:4", "given": "4", "graded": "1", "surprise": 4.5},
        {"id": "base-004", "where": f"{where}:5", "given": "1", "graded": "2", "surprise": 3.5},
        {"id": "gone", "where": f"{where}:99", "given": "4", "graded": "1", "surprise": 3.0},
    ]
    file = app.provider.workspace.race_file(run_id(0))
    file.write_text(json.dumps({"run": run_id(0), "step": 0, "report": {"rows": 10, "disputed": disputed}}))
    app.provider.workspace.race_file(run_id(1)).write_text("no json")
    async with grading(app, MIDDLE, ("shift+tab",)) as (_, pilot):
        assert "The race's 1 most disputed row. d finds all of them." in words_of(app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
        await pilot.pause()
        assert "gives 1 (surprise 4.50)" in words_of(app.screen)


async def test_a_process_that_fails_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    script = "import sys; sys.exit('no training row has a grade. Give the rows grades.')"
    monkeypatch.setattr(GradingTasks, "_command", lambda _: [sys.executable, "-c", script])
    async with grading(app, MIDDLE) as (_, pilot):
        await pilot.press("d")
        await until(pilot, lambda: "no training row has a grade" in notices(app))
        assert "d finds the training rows" in words_of(app.screen)


async def test_while_a_training_runs_no_second_model_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    monkeypatch.setattr(GradingTasks, "_command", lambda _: pytest.fail("a process was started"))
    async with grading(app, MIDDLE) as (_, pilot):
        app.session.trained_by = "other"
        await pilot.press("d")
        await pilot.pause()
        assert "A training runs here" in notices(app)


@pytest.mark.parametrize("output", [b"", b"no json", b"[]", b'{"disputed": [{"key": 1}]}', b"\xff"])
def test_a_list_that_cannot_be_read_is_a_problem(output: bytes) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        listed(output)


def test_the_command_names_the_workspace_and_the_settings_of_this_app(tmp_path: Path) -> None:
    app = make(tmp_path, [])
    command = GradingTasks(app)._command()
    assert command[1:4] == ["-m", "opeddev_tui", "regrade"]
    assert command[command.index("-w") + 1] == str(tmp_path)
    assert any(part.startswith("paths.model_store=") for part in command)
