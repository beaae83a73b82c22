"""The grader's screen: grade code, a file, a folder; beside another checkpoint; correct; lose nothing that is typed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from graded import make, raced_step
from grader_child import FakeChild, FakeChildren
from scenes import opened, until
from screen_text import words_of
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from opeddev_tui.serving.asked import Answer
from opeddev_tui.serving.corrected import keep_answer
from opeddev_tui.serving.worker_messages import Begun, Done, Failed, Request, Said, Stop
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.grader.answers import AnswerPane
from opeddev_tui.ui.screens.grader.choose import ChooseCheckpoint
from opeddev_tui.ui.screens.grader.correct import CorrectScreen, areas_of
from opeddev_tui.ui.screens.grader.desk import Desk
from opeddev_tui.ui.screens.grader.form import Form, completed
from opeddev_tui.ui.screens.grader.screen import GraderScreen
from opeddev_tui.ui.tasks.grader import GraderTasks, Typed
from opeddev_tui.ui.widgets.grid import Grid

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)
AT = 1_700_000_000.0


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> FakeChildren:
    found = FakeChildren()
    monkeypatch.setattr(GraderTasks, "open", lambda tasks, source, **more: found.open(tasks, source, **more))
    return found


@asynccontextmanager
async def grader(app: OpeddevApp, size: tuple[int, int] = MIDDLE) -> AsyncIterator[tuple[GraderScreen, Pilot[str]]]:
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("9")
        screen = app.screen
        assert isinstance(screen, GraderScreen)
        await pilot.pause()
        yield screen, pilot


async def grade_code(pilot: Pilot[str], screen: GraderScreen, code: str = "<b>x</b>") -> None:
    screen.query_one("#code", TextArea).text = code
    await pilot.press("ctrl+g")
    await until(pilot, lambda: not screen.desk.busy and bool(screen.desk.sides[0].answers))
    screen._draw()
    await pilot.pause()


async def grade_path(pilot: Pilot[str], screen: GraderScreen, path: str) -> None:
    screen.query_one("#path", Input).value = path
    await pilot.press("ctrl+g")
    await until(pilot, lambda: not screen.desk.busy)
    screen._draw()
    await pilot.pause()


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
async def test_code_is_graded_and_its_answer_explained(
    tmp_path: Path, children: FakeChildren, size: tuple[int, int]
) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app, size) as (screen, pilot):
        assert "Nothing is graded yet" in words_of(app.screen)
        await pilot.press("i", *"<p>", "enter", *"hi")
        assert screen.query_one("#code", TextArea).text == "<p>\nhi"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not screen.desk.busy)
        screen._draw()
        await pilot.pause()
        shown = words_of(app.screen)
        near = "confidence 0.50 that it is within one grade of a person's"
        for part in ("Grade 1", "expected 1.00", "68.0%", "90% set 1, 2", near):
            assert part in shown, part
        # below these a small terminal scrolls
        for part in ("On 50 hold-out rows 66%", "✗ Layout", "✓ Naming"):
            assert part in screen.query_one("#first", AnswerPane).text, part
        (request,) = children.opened[0].asked
        assert isinstance(request, Request)
        assert (request.text, request.path, request.given) == ("<p>\nhi", "", {})


async def test_task_rubric_and_kind_go_with_the_request(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        screen.query_one("#task", Input).value = "Centre it."
        screen.query_one("#kind", Input).value = " css "
        await grade_code(pilot, screen)
        (request,) = children.opened[0].asked
        assert isinstance(request, Request)
        assert request.given == {"task": "Centre it.", "kind": "css"}


@pytest.mark.usefixtures("children")
async def test_a_folder_is_a_list_that_is_ordered_searched_and_read(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        await grade_path(pilot, screen, "pages")
        assert "4 graded · 1 for a person · as they came" in words_of(app.screen)
        assert "left out: binary files (1)" in words_of(app.screen)
        assert "pages/page0.html" not in screen.query_one(Grid).selected_text
        await pilot.press("o")
        await pilot.pause()
        rows = [key for key, _ in screen.query_one(Grid)._filled]
        assert rows == ["2", "0", "1", "3"]
        await pilot.press("slash", *"page3")
        await pilot.pause()
        assert [key for key, _ in screen.query_one(Grid)._filled] == ["3"]
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert "Grade 4" in words_of(app.screen)
        await pilot.press("slash", "escape")
        assert screen.query_one(Grid).row_count == 4


async def test_an_error_is_said_in_place_and_what_is_typed_stays(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        await grade_path(pilot, screen, "missing")
        assert "there is no such file or folder" in words_of(app.screen)
        assert screen.query_one("#path", Input).value == "missing"
        screen.query_one("#path", Input).value = ""
        await grade_code(pilot, screen, "<b>kept</b>")
        await pilot.press("escape", "1", "9")
        await pilot.pause()
        assert screen.query_one("#code", TextArea).text == "<b>kept</b>"
        assert "Grade 1" in words_of(app.screen)
        assert not children.opened[0].ended


async def test_what_failed_to_load_is_said_and_loaded_again(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    children.ready_at_once = False
    async with grader(app) as (screen, pilot):
        screen.query_one("#code", TextArea).text = "<b>x</b>"
        await pilot.press("ctrl+g")
        children.opened[0].heard(Failed(0, "the checkpoint cannot be trusted: a file is cut."))
        screen._draw()
        await pilot.pause()
        assert "the checkpoint cannot be trusted" in words_of(app.screen)
        assert children.opened[0].ended
        children.ready_at_once = True
        await grade_code(pilot, screen)
        assert len(children.opened) == 2
        assert "cannot be trusted" not in words_of(app.screen)


async def test_grading_is_stopped_and_what_came_stays(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    children.prepare = lambda child: setattr(child, "answers_at_once", False)
    async with grader(app) as (screen, pilot):
        screen.query_one("#path", Input).value = "pages"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(children.opened[0].asked))
        child = children.opened[0]
        request = child.asked[0]
        assert isinstance(request, Request)
        child.heard(Begun(request.id, 1000))
        child.one(request, 0)
        child.one(request, 1)
        screen._draw()
        await pilot.pause()
        assert "2 of 1,000 graded" in words_of(app.screen)
        assert "left" in words_of(app.screen)
        await pilot.press("s")
        assert isinstance(child.asked[-1], Stop)
        child.one(request, 2)
        child.heard(Done(id=request.id, count=3, stopped=True))
        screen._draw()
        await pilot.pause()
        assert "2 submissions, stopped" in words_of(app.screen)


async def test_a_second_checkpoint_is_asked_the_same(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app, LARGE) as (screen, pilot):
        await grade_path(pilot, screen, "pages")
        children.prepare = lambda child: setattr(child, "shift", 1)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, ChooseCheckpoint))
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: len(screen.desk.sides) == 2 and not screen.desk.busy)
        screen._draw()
        await pilot.pause()
        assert children.opened[1].source == "base"
        assert children.opened[1].asked == children.opened[0].asked
        assert "2 ≠" in words_of(app.screen)
        assert "beside base" in words_of(app.screen)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, ChooseCheckpoint))
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.desk.sides) == 1)
        assert children.opened[1].ended


async def test_feedback_is_written_for_the_one_on_show(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        await grade_path(pilot, screen, "pages")
        await pilot.press("n", "e")
        await until(pilot, lambda: len(children.opened) == 2 and not screen.desk.busy)
        screen._draw()
        await pilot.pause()
        assert children.opened[0].ended
        assert children.opened[1].texts
        assert len(screen.desk.sides[0].answers) == 4
        assert "the card is not centred" in screen.query_one("#first", AnswerPane).text
        assert "pages/page1.html" in words_of(app.screen)


@pytest.mark.usefixtures("children")
async def test_a_correction_becomes_a_row_and_is_undone(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    batch = tmp_path / "datasets/incremental/batch_corrections_01.jsonl"
    async with grader(app) as (screen, pilot):
        await grade_code(pilot, screen, "<b>one's own page</b>")
        await pilot.press("c")
        dialog = app.screen
        assert isinstance(dialog, CorrectScreen)
        await pilot.press("9", "ctrl+s")
        await until(pilot, lambda: "not a grade here" in words_of(app.screen))
        assert app.screen is dialog
        await pilot.press("escape")
        await pilot.press("c")
        again = app.screen
        assert isinstance(again, CorrectScreen)
        assert again.draft.grade == "9"
        await pilot.press("backspace", "2", "tab", *"Too small.", "tab", *"Layout=fail", "ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        (row,) = [json.loads(line) for line in batch.read_text().splitlines()]
        assert (row["grade"], row["feedback"], row["criteria"]) == (2, "Too small.", {"Layout": "fail"})
        assert (row["submission"], row["task"], row["kind"]) == ("<b>one's own page</b>", "Make a page.", "html")
        assert row["rater"]
        assert row["graded_at"].startswith("20")
        await until(pilot, lambda: "a person gave 2" in words_of(app.screen))
        assert "pasted code: grade 2, in batch_corrections_01 (1 row): data of step " in app.session.view().told
        await pilot.press("u")
        await until(pilot, lambda: not batch.exists())
        await until(pilot, lambda: "a person gave" not in words_of(app.screen))
        assert "c opens what you had typed." in app.session.view().told
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CorrectScreen))
        assert isinstance(app.screen, CorrectScreen)
        assert (app.screen.draft.grade, app.screen.draft.feedback) == ("2", "Too small.")


@pytest.mark.usefixtures("children")
async def test_a_correction_of_an_earlier_session_is_known_and_undone(tmp_path: Path) -> None:
    batch = tmp_path / "datasets/incremental/batch_corrections_01.jsonl"
    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        for number, grade in enumerate("245"):
            await grade_code(pilot, screen, f"<b>page {number} of one's own</b>")
            await pilot.press("c", grade, "tab", *f"Text {number}.", "tab", *"Layout=fail", "ctrl+s")
            await until(pilot, lambda: pilot.app.screen is screen)
        # corrected again: this one stands
        await pilot.press("c", "3", "ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
    app = make(tmp_path, [])
    async with grader(app) as (screen, pilot):
        await grade_code(pilot, screen, "<b>another page of one's own</b>")
        assert "a person gave" not in words_of(app.screen)
        await pilot.press("u")
        await until(pilot, lambda: any("no correction of it" in notice.message for notice in app._notifications))
        for number, grade in ((0, "2"), (2, "3")):
            await grade_code(pilot, screen, f"<b>page {number} of one's own</b>")
            await until(pilot, lambda grade=grade: f"a person gave {grade}" in words_of(app.screen))  # type: ignore[misc]
        await pilot.press("u")
        await until(pilot, lambda: "a person gave 5" in words_of(app.screen))
        await pilot.press("u")
        await until(pilot, lambda: "a person gave" not in words_of(app.screen))
        assert [json.loads(line)["grade"] for line in batch.read_text().splitlines()] == [2, 4]
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CorrectScreen))
        assert isinstance(app.screen, CorrectScreen)
        draft = app.screen.draft
        assert (draft.grade, draft.feedback, draft.criteria) == ("5", "Text 2.", "Layout=fail")


@pytest.mark.usefixtures("children")
async def test_a_correction_that_a_command_keeps_is_known_when_it_is_graded(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        await grade_path(pilot, screen, "pages")
        fields = screen.desk.sides[0].answers[1].fields
        keep_answer(app.provider.workspace, app.loaded.settings, fields, Answer("5"))
        await grade_path(pilot, screen, "pages")
        await until(pilot, lambda: any("→ 5" in cells for cells in screen.query_one(Grid).all_cells))
        assert sum("→ 5" in cells for cells in screen.query_one(Grid).all_cells) == 1


@pytest.mark.usefixtures("children")
@pytest.mark.parametrize(
    ("keys", "asked", "kept"),
    [
        (["2", "ctrl+s"], True, ""),
        # the model's own grade: its text is confirmed with it
        (["1", "ctrl+s"], False, "Layout: the card is not centred."),
        (["2", "tab", *"Mine. ", "ctrl+s"], False, "Mine. Layout: the card is not centred."),
        (["2", "ctrl+s", "backspace", "1", "ctrl+s"], True, "Layout: the card is not centred."),
        (["2", "ctrl+s", "backspace", "3", "ctrl+s"], True, ""),
    ],
)
async def test_the_models_feedback_is_not_kept_with_another_grade_than_the_models(
    tmp_path: Path, keys: list[str], asked: bool, kept: str
) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    batch = tmp_path / "datasets/incremental/batch_corrections_01.jsonl"
    async with grader(app) as (screen, pilot):
        await grade_code(pilot, screen, "<b>one's own page</b>")
        await pilot.press("e")
        await until(pilot, lambda: not screen.desk.busy)
        await pilot.press("c")
        # what is left and opened again is still the model's
        await pilot.press("escape", "c")
        first = keys.index("ctrl+s") + 1
        await pilot.press(*keys[:first])
        if asked:
            await until(pilot, lambda: "the model wrote this feedback for its own grade 1" in words_of(app.screen))
            assert not batch.exists()
            await pilot.press(*(keys[first:] or ["ctrl+s"]))
            if isinstance(app.screen, CorrectScreen) and "3" in keys:
                await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        (row,) = [json.loads(line) for line in batch.read_text().splitlines()]
        assert row["feedback"] == kept


@pytest.mark.parametrize("empty", [("task",), ("rubric",), ("task", "rubric")])
async def test_a_correction_says_before_and_after_what_its_row_lacks(
    tmp_path: Path, children: FakeChildren, empty: tuple[str, ...]
) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    children.prepare = lambda child: setattr(child, "empty", empty)
    named = " and no ".join(empty)
    async with grader(app) as (screen, pilot):
        await grade_code(pilot, screen, "<b>one's own page</b>")
        await pilot.press("c")
        await until(pilot, lambda: f"It has no {named}: type" in words_of(app.screen))
        await pilot.press("2", "ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        told = app.session.view().told
        assert f"it has no {named}, so the model learns to grade it without." in told
        assert "it has no feedback" in told


async def test_keys_of_one_burst_are_taken_in_their_order(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        await pilot.press("i")
        for key in ("a", "b", "ctrl+g"):
            app.simulate_key(key)
        await until(pilot, lambda: bool(screen.desk.sides[0].answers))
        (request,) = children.opened[0].asked
        assert isinstance(request, Request)
        assert request.text == "ab"
        await pilot.press("c")
        for key in ("2", "ctrl+s"):
            app.simulate_key(key)
        await until(pilot, lambda: app.screen is screen)
        assert (tmp_path / "datasets/incremental/batch_corrections_01.jsonl").exists()


@pytest.mark.usefixtures("children")
async def test_a_row_of_the_holdout_is_refused_in_the_dialog(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        held = json.loads((tmp_path / "datasets/holdout_webdev_coding/rows.jsonl").read_text().splitlines()[0])
        await grade_code(pilot, screen, held["submission"])
        await pilot.press("c", "3", "ctrl+s")
        await until(pilot, lambda: "hold-out row" in words_of(app.screen))
        assert isinstance(app.screen, CorrectScreen)
        assert not (tmp_path / "datasets/incremental/batch_corrections_01.jsonl").exists()


class Opener:
    """Opens children without an app."""

    def __init__(self) -> None:
        self.trains = False
        self.opened: list[FakeChild] = []

    def open(
        self,
        source: str,
        *,
        texts: bool,
        heard: Callable[[Said], None],
        ended: Callable[[str], None],  # noqa: ARG002 - as the real one
    ) -> FakeChild:
        self.opened.append(FakeChild(source, texts, heard, self.trains))
        return self.opened[-1]


def test_a_grader_gives_way_to_a_training_and_what_has_no_room_waits_for_its_end() -> None:
    opener = Opener()
    desk = Desk(opener, lambda: None)
    side = desk.sides[0]
    desk.grade("the code", text="<b>x</b>", given={})
    opener.opened[0].get_ready()
    assert len(side.answers) == 1
    opener.trains = True
    desk.mind_training(trains=True)
    assert opener.opened[0].ended
    assert len(side.answers) == 1
    desk.grade("the code", text="<b>y</b>", given={})
    assert opener.opened[1].beside
    opener.opened[1].heard(Failed(0, "a training runs: it waits until the training has ended.", waits=True))
    assert side.busy
    assert "waits" in side.words
    opener.trains = False
    desk.mind_training(trains=False)
    assert not opener.opened[2].beside
    opener.opened[2].get_ready()
    assert not side.busy
    assert len(side.answers) == 1


def test_a_request_that_a_training_interrupts_keeps_what_is_graded_and_says_why() -> None:
    opener = Opener()
    desk = Desk(opener, lambda: None)
    side = desk.sides[0]
    desk.grade("pages", path="pages", given={})
    child = opener.opened[0]
    child.answers_at_once = False
    child.get_ready()
    request = child.asked[0]
    assert isinstance(request, Request)
    child.heard(Begun(request.id, 100))
    child.one(request, 0)
    desk.mind_training(trains=True)
    assert not side.busy
    assert len(side.answers) == 1
    assert "a training has begun" in side.words


@pytest.mark.usefixtures("children")
async def test_pasted_lines_become_code_wherever_the_focus_is(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    async with grader(app) as (screen, pilot):
        screen.post_message(Paste("<p>\n</p>"))
        await pilot.pause()
        assert screen.query_one("#code", TextArea).text == "<p>\n</p>"
        await pilot.press("escape", "p")
        screen.query_one("#path", Input).post_message(Paste("<i>\n</i>"))
        await pilot.pause()
        assert screen.query_one("#code", TextArea).text == "<p>\n</p><i>\n</i>"
        assert screen.query_one("#path", Input).value == ""


async def test_titles_name_what_grades_and_the_first_line_the_chosen_checkpoint(
    tmp_path: Path, children: FakeChildren
) -> None:
    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        children.prepare = lambda child: setattr(child, "grader", "base model, head of step 1")
        await grade_code(pilot, screen)
        pane = screen.query_one("#first")
        for _ in ("in memory", "closed"):
            assert str(pane.border_title).endswith("Answer · base model, head of step 1")
            assert "base model, head of step 1 chosen: " in words_of(screen)
            screen.desk.close()
            screen._draw()


def last_asked(children: FakeChildren) -> str:
    request = next(asked for asked in reversed(children.opened[-1].asked) if isinstance(asked, Request))
    return request.path or request.text


async def test_what_was_typed_last_is_graded_and_named(tmp_path: Path, children: FakeChildren) -> None:
    ways = {
        ("p", *"pages"): "pages",
        ("i", *"<b>"): "<b>",
        ("p", "end", "slash"): "pages/",
        ("i", "x"): "<b>x",
        ("p", "enter"): "pages/",
        ("i", *["backspace"] * 4): "pages/",
        ("i", *"<i>"): "<i>",
        ("p", "end", "ctrl+u"): "<i>",
    }
    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        for keys, graded in ways.items():
            await pilot.press("escape", *keys)
            if keys[-1] != "enter":
                await pilot.press("ctrl+g")
            await until(pilot, lambda: not screen.desk.busy and bool(screen.desk.sides[0].answers))
            assert last_asked(children) == graded, keys
            is_path, form = graded.startswith("pages"), screen.query_one(Form)
            named = str(form.border_title).endswith(f"the {'path' if is_path else 'code'} is graded")
            assert named == bool(form.typed.path)
            assert screen.query_one("#code").has_class("-idle") == is_path


async def test_what_was_typed_last_is_graded_after_another_start_too(tmp_path: Path, children: FakeChildren) -> None:
    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        await pilot.press("p", *"pages", "escape", "i", *"<p>")
    async with grader(make(tmp_path, [])) as (screen, pilot):
        await until(pilot, lambda: screen.query_one(Form).typed.path == "pages")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not screen.desk.busy and bool(screen.desk.sides[0].answers))
        assert last_asked(children) == "<p>"
        assert screen.query_one("#path").has_class("-idle")


@pytest.mark.usefixtures("children")
async def test_what_is_typed_is_there_again_when_the_app_is(tmp_path: Path) -> None:
    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        await pilot.press("i", *"<p>", "escape", "p", *"pa")
        assert screen.query_one(Form).typed == Typed(code="<p>", path="pa")
    async with grader(make(tmp_path, [])) as (screen, pilot):
        await until(pilot, lambda: screen.query_one(Form).typed == Typed(code="<p>", path="pa"))


def test_a_path_is_completed_to_the_first_name_that_fits(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/a.html").write_text("")
    (tmp_path / ".hidden").mkdir()
    assert completed(f"{tmp_path}/pa") == f"{tmp_path}/pages/"
    assert completed(f"{tmp_path}/pages/") == f"{tmp_path}/pages/a.html"
    assert completed(f"{tmp_path}/") == f"{tmp_path}/pages/"
    assert completed(f"{tmp_path}/nothing") is None
    assert completed("/no/such/folder/x") is None


def test_areas_are_read_or_named_as_wrong() -> None:
    assert areas_of("Layout=fail, Naming = 3;") == {"Layout": "fail", "Naming": "3"}
    assert areas_of("") == {}
    assert "Layout" in areas_of("Layout")


async def test_a_list_of_thousands_is_drawn_in_part(tmp_path: Path, children: FakeChildren) -> None:
    app = make(tmp_path, [raced_step(0, AT)])
    children.prepare = lambda child: setattr(child, "files", 2100)
    async with grader(app) as (screen, pilot):
        await grade_path(pilot, screen, "pages")
        assert "2,100 graded" in words_of(app.screen)
        assert screen.query_one(Grid).row_count == 2000
