"""What a field of the grader promises while it is empty is what the answer says was assumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from graded import make, raced_step
from msgspec.structs import replace
from scenes import opened, until
from test_app import text_of
from textual.widgets import Input

from opeddev_tui.config.settings import Grade, Grading, Settings
from opeddev_tui.data.ungraded import Usual
from opeddev_tui.serving.asked import Filling, asked, filling
from opeddev_tui.ui.screens.grader.empty_fields import empty_words
from opeddev_tui.ui.tasks.grader import Typed

TEMPLATE = Grading().prompt_template
NOBODY = Usual({}, {}, frozenset())
SHARED = Usual({}, {"task": {"": "Make a page."}, "rubric": {"html": "Tags.", "css": "Colours."}}, frozenset())


@pytest.mark.parametrize("usual", [NOBODY, SHARED], ids=["nothing shared", "shared"])
@pytest.mark.parametrize("set_by_hand", [False, True])
@pytest.mark.parametrize(
    "typed",
    [Typed(code="<b>"), Typed(code="<b>", kind="html"), Typed(code="<b>", kind="php"), Typed(path="a/b.css")],
    ids=["code", "code of a kind", "code of a rare kind", "a file"],
)
def test_what_an_empty_field_promises_is_what_the_answer_assumes(usual: Usual, set_by_hand: bool, typed: Typed) -> None:
    grade = Grade(task="A form.", rubric="Labels.", kind="css") if set_by_hand else Grade()
    fill = filling(Settings(grade=grade), usual=usual)
    words = empty_words(fill, TEMPLATE, typed)
    given = Filling({"kind": typed.kind} if typed.kind else {}, fill.defaults, usual)
    told = asked({"submission": "<b>"}, "", Settings(grade=grade), given, name=typed.path)
    for name in ("task", "rubric"):
        if name in told.assumed:
            text, _, origin = told.assumed[name].rpartition(" (")
            assert words[name].endswith(f": {text}")
            assert ("grade." in origin) == ("grade." in words[name])
        else:
            assert words[name] == "empty: none, so a person is asked"
            assert any(f"no {name} is known" in doubt for doubt in told.doubts)
    if not typed.kind:
        kind, _, _ = told.assumed.get("kind", "unknown").partition(" (")
        assert kind in words["kind"]


def test_files_that_nobody_has_read_yet_are_of_any_kind() -> None:
    for typed in (Typed(), Typed(path="pages/")):
        words = empty_words(Filling({}, {"kind": "css"}, SHARED), TEMPLATE, typed)
        assert words["task"] == "empty: the commonest: Make a page."
        assert words["rubric"] == "empty: the commonest of its kind, else none"
        assert words["kind"] == "empty: by file name, else css"


def test_what_the_prompt_does_not_ask_for_is_said_not_to_be_asked() -> None:
    words = empty_words(Filling({}, {}, NOBODY), "Grade {submission}", Typed())
    assert words["task"] == "not asked: your prompt has no task"
    assert words["rubric"] == "not asked: your prompt has no rubric"


def test_texts_from_files_cannot_write_to_the_terminal() -> None:
    nasty = Usual({}, {"task": {"": "\x1b[31mred\nline"}}, frozenset())
    words = empty_words(Filling({}, {"kind": "\x1b[2J"}, nasty), TEMPLATE, Typed())
    assert not any(sign in text for text in words.values() for sign in "\x1b\n")


def test_before_anything_is_read_nothing_is_promised_that_may_not_be_so() -> None:
    words = empty_words(None, TEMPLATE, Typed())
    assert words["task"] == words["rubric"] == "empty: the commonest of your rows, else none"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_fields_say_it_in_the_room_they_have(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, [raced_step(0, 1_700_000_000.0)])
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("9", "i")

        def said(name: str) -> str:
            return app.screen.query_one(f"#{name}", Input).placeholder

        await until(pilot, lambda: said("rubric").startswith("empty: the commonest: layout"))
        await until(pilot, lambda: said("task") == "empty: none, so a person is asked")
        await pilot.pause()
        shown = text_of(app)
        for name in ("path", "task", "rubric", "kind"):
            field = app.screen.query_one(f"#{name}", Input)
            assert len(said(name)) <= field.content_size.width
            assert said(name) in shown, name
        app.loaded = replace(app.loaded, settings=replace(app.loaded.settings, grade=Grade(task="A form.", kind="css")))
        # another screen and back: settings may have changed meanwhile
        await pilot.press("escape", "8", "9")
        await until(pilot, lambda: said("task") == "empty: grade.task: A form.")
        assert said("kind") == "empty: by file name, else css"
