"""The browser of rows: what it lists and what it never lists, searches, orders, and a row as the model sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from scenes import HOSTILE, opened, until
from test_app import text_of
from textual.pilot import Pilot

from opeddev_tui.analysis.row_records import EncodedText, Part, RowRecord
from opeddev_tui.analysis.run_filter import parse
from opeddev_tui.config import loading
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.rows import listing
from opeddev_tui.ui.screens.rows.encoded import encoded, summary
from opeddev_tui.ui.screens.rows.recorded import recorded
from opeddev_tui.ui.screens.rows.row import RowScreen, written
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.tasks.rows import RowSet, RowTasks
from opeddev_tui.ui.widgets.long_list import LongList

Make = Callable[..., Path]


def row(number: int, grade: int | None = 3, group: str = "") -> Example:
    asked = Message("user", f"question {number} " + "word " * number)
    return Example((asked,), f"Grade: {grade}", grade, "css" if number % 2 else "html", f"f:{number}", f"row-{number}",
                   f"<b>{number}</b>", group=group)  # fmt: skip


ROWS = RowSet(
    "hold-out", True,
    [row(0, 3, "b"), row(1, 1, "a"), row(2, None), row(3, 5, "a")],
    {0: RowRecord({1: 0.5}, {1: 3}), 1: RowRecord({0: 9.0, 1: 2.5}, {1: 5}), 3: RowRecord({1: 1.5}, {1: None})},
    ("1", "2", "3", "4", "5"),
    read_by="the texts of its model",
)  # fmt: skip


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", [0, 1, 2, 3]), ("loss>1", [1, 3]), ("grade=3", [0]), ("kind:css off>1", [1]), ("!graded", [2]),
        ("group:a", [1, 3]), ("QUESTION 2", [2]), ("row<=2", [0, 1]), ("read=5 | grade=5", [1, 3]), ("id:row-3", [3]),
    ],
)  # fmt: skip
def test_rows_are_found_by_values_and_by_words(search: str, found: list[int]) -> None:
    chosen = parse(search, listing.known_names(ROWS))
    assert listing.arranged(ROWS, "as in the files", chosen, 1) == found


def test_every_order_puts_first_what_it_says() -> None:
    first = {name: listing.arranged(ROWS, name, parse(""), 1)[0] for name in listing.ORDERS}
    assert first == {
        "as in the files": 0, "highest loss first": 1, "lowest grade first": 1, "most disagreement first": 1,
        "longest first": 3, "by group": 1, "by kind": 1,
    }  # fmt: skip


@pytest.mark.parametrize("width", [40, 78, 118, 198])
def test_a_line_fits_its_width_and_hides_nothing_dangerous(width: int) -> None:
    bad = Example((Message("user", HOSTILE),), HOSTILE, None, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    line = listing.line(RowSet("x", False, [bad], {}), 0, listing.fitting(listing.columns(1), width), width)
    assert "\x1b" not in line
    assert "\u202e" not in line
    if width > 70:
        assert len(line) <= width


def test_a_column_without_a_value_takes_no_room() -> None:
    def titles(rows: RowSet) -> list[str]:
        return [column.title for column in listing.columns_of(rows, 1)]

    assert titles(ROWS) == ["row", "id", "kind", "group", "grade", "read", "off", "loss", "chars"]
    plain = RowSet("base", False, [row(0), row(2, None)], {})
    assert titles(plain) == ["row", "id", "kind", "grade", "chars"]
    assert titles(RowSet("base", False, [row(0, 1)], {0: RowRecord(surprise=2.5, head=4)})) == [
        "row", "id", "kind", "grade", "read", "off", "chars",
    ]  # fmt: skip
    asked = listing.line(plain, 1, listing.fitting(listing.columns_of(plain, 1), 78), 78)
    assert asked.rstrip().endswith("question 2 word word")


def test_what_was_asked_is_the_task_whatever_was_handed_in() -> None:
    given = Example((Message("user", "Task: Centre\n\nSubmission:\n<b>"),), "Grade: 3", 3, "", "f:1", "", "<b>")
    line = listing.line(RowSet("base", False, [given], {}), 0, listing.fitting(listing.columns(1), 118), 118)
    assert line.rstrip().endswith("Task: Centre Submission: <b>")
    answer = Example((), "only an answer", None, "", "f:1", "", "")
    assert listing.asked(answer) == "only an answer"


def test_a_set_has_no_order_by_what_none_of_its_rows_has() -> None:
    assert listing.orders_of(ROWS) == list(listing.ORDERS)
    assert listing.orders_of(ROWS)[1] == "most disagreement first"
    for rows in (ROWS, RowSet("base", False, [row(0), row(2, None)], {}), RowSet("base", False, [], {})):
        shown = {column.title for column in listing.columns_of(rows, 1)}
        needed = {"loss": "highest loss first", "grade": "lowest grade first", "off": "most disagreement first",
                  "group": "by group", "kind": "by kind"}  # fmt: skip
        left = {needed[title] for title in needed.keys() - shown}
        assert listing.orders_of(rows) == [name for name in listing.ORDERS if name not in left]


def test_what_carries_loss_and_what_is_cut_shows_without_colour() -> None:
    parts = (Part("prompt", "beginning", 7), Part("cut", "", 30), Part("prompt", "end\n\n", 5),
             Part("loss", "Grade: ", 2), Part("grade", "4", 1), Part("loss", "\nGood [/INST]\x1b[c", 3))  # fmt: skip
    told = EncodedText(parts, 64, note="It is odd.")
    text = encoded(told, 60).plain
    assert "Prompt: 12 tokens, no loss, 30 tokens in its middle cut (at most 64 with the answer)" in text
    assert "[… 30 tokens cut here: the model does not see them …]\nend⏎⏎\n\nAnswer: 6 tokens, all carry loss" in text
    assert "┃ Grade: ‹4›\n┃ Good [/INST]" in text
    assert "\x1b" not in text
    assert summary(told) == "12 asked + 6 answered, bold grey: special tokens · It is odd."
    unused = encoded(EncodedText((Part("prompt", "p", 1), Part("unused", "u", 1)), 64, 0.0, "its weight is 0"), 60)
    assert "carries no loss\nu" in unused.plain
    assert "cannot" in encoded(EncodedText(problem="it cannot be read"), 60).plain


@pytest.mark.parametrize("width", [20, 40, 78])
def test_a_bar_stands_before_every_line_of_what_carries_loss(width: int) -> None:
    told = EncodedText((Part("prompt", "p", 1), Part("loss", "Feedback: " + "a long sentence " * 20, 70)), 64)
    lines = encoded(told, width).plain.splitlines()
    answer = lines[next(at for at, line in enumerate(lines) if line.startswith("Answer")) + 1 :]
    assert len(answer) > 3
    assert all(line.startswith("┃ ") and len(line) <= width for line in answer)


def test_special_tokens_stand_out_and_text_like_them_does_not() -> None:
    text = "<|im_start|>user\nSubmission:\n.a { color: red; } <|im_end|>\x1b[c"
    content = encoded(EncodedText((Part("prompt", text, 9, ((0, 12),)), Part("loss", "ok", 1)), 64), 60, "css")
    styled = [content.plain[span.start : span.end] for span in content.spans if span.style == "bold $muted"]
    assert styled == ["<|im_start|>"]
    assert "\x1b" not in content.plain
    # the code is in colours
    assert any("color" in content.plain[span.start : span.end] for span in content.spans)


def test_only_code_of_a_row_is_coloured_as_code_and_short_fields_stand_beside_their_names() -> None:
    css = ".a { color: red; }\n.b { margin: 0; }"
    example = Example((Message("user", css),), "", 3, "css", "f:1", "a", css)
    fields = [("id", "a"), ("submission", css), ("rubric", "Layout: no { overrides }: 1px"), ("feedback", "x\x1b[c")]
    content = written(fields, example)
    assert content.plain.startswith("id  a\nsubmission\n.a {")
    assert "\x1b" not in content.plain
    end = content.plain.index("rubric")
    styles = {str(span.style) for span in content.spans if span.start >= end}
    assert styles == {"bold $primary"}
    assert any(".a" in content.plain[span.start : span.end] for span in content.spans)
    assert "no longer at its place" in written([], example).plain


def test_what_was_recorded_is_told_by_epoch() -> None:
    told = recorded(ROWS, 1, 1).plain
    assert "epoch 0 · loss 9.0000" in told
    assert "epoch 1 · loss 2.5000 · grade 5" in told
    assert "grade 3 = given" in recorded(ROWS, 0, 1).plain
    assert "Nothing" in recorded(ROWS, 2, 1).plain
    # by which way, where there are several in one app
    assert "Grades read by the texts of its model." in told
    disputed = RowSet("base", False, [row(0, 1)], {0: RowRecord(surprise=2.63, head=3)}, ROWS.labels)
    assert "fitted without the row, gives 3 (surprise 2.63)" in recorded(disputed, 0, 1).plain


def test_off_is_a_number_of_grades_whatever_read_the_row() -> None:
    every = [row(0, 1), row(1, 5), row(2, 2)]
    known = {0: RowRecord(surprise=2.63, head=3), 1: RowRecord(surprise=5.1, head=3), 2: RowRecord({1: 0.1}, {1: 3})}
    rows = RowSet("base", False, every, known, ROWS.labels)
    off = next(column for column in listing.columns_of(rows, 1) if column.title == "off")
    assert [off.cell(rows, at) for at in range(3)] == ["2", "2", "1"]
    assert listing.arranged(rows, "most disagreement first", parse(""), 1) == [1, 0, 2]
    assert listing.arranged(rows, "as in the files", parse("read=3 off>1", listing.known_names(rows)), 1) == [0, 1]


async def _browser(app: OpeddevApp, pilot: Pilot[str]) -> RowsScreen:
    await opened(pilot)
    await pilot.press("8")
    await until(pilot, lambda: isinstance(app.screen, RowsScreen))
    screen = app.screen
    assert isinstance(screen, RowsScreen)
    await until(pilot, lambda: screen.query_one(LongList).count)
    return screen


async def test_a_row_is_read_as_the_model_sees_it_and_as_it_was_written(workspace_factory: Make) -> None:
    root = workspace_factory(rows=5, batches=(4,), holdout=3, **{"data.max_length": 40, "data.completion_tokens": 12})
    app = OpeddevApp(root, loading.load(root))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await _browser(app, pilot)
        assert "5 rows" in text_of(app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, RowScreen))
        read = app.screen

        def seen() -> str:
            return read.query_one("#seen").text  # type: ignore[attr-defined, no-any-return]

        await until(pilot, lambda: "all carry loss" in seen())
        await until(pilot, lambda: "base-1" in read.query_one("#written").text)  # type: ignore[attr-defined]
        assert "<|im_start|>" in seen()
        assert "tokens cut here" in seen()
        assert "┃ Grade:" in seen()
        await pilot.press("n")
        await until(pilot, lambda: "base-2" in text_of(app) and "all carry loss" in seen())
        await pilot.press("m", "escape")
        await until(pilot, lambda: app.screen is screen)
        assert screen.query_one(LongList).cursor == 2


async def test_the_line_above_the_rows_says_by_what_they_were_read(workspace_factory: Make) -> None:
    root = workspace_factory(rows=4, holdout=3)
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _browser(app, pilot)
        rows = screen.rows
        assert rows is not None
        assert "read by" not in text_of(app)
        screen._take(replace(rows, records={0: RowRecord(surprise=2.5, head=4)}))
        words = "read by the head on the base model, row left out"
        await until(pilot, lambda: words in text_of(app))


async def test_what_comes_after_a_row_was_left_has_nowhere_to_go(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory(rows=4, holdout=3)
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _browser(app, pilot)
        seen: list[Callable[[EncodedText], None]] = []
        read: list[Callable[[list[tuple[str, str]]], None]] = []
        monkeypatch.setattr(screen.tasks, "as_seen", lambda _row, _trained, done: seen.append(done))
        monkeypatch.setattr(screen.tasks, "as_written", lambda _set, _where, done: read.append(done))
        await pilot.press("enter", "escape")
        await until(pilot, lambda: seen and read and app.screen is screen)
        await pilot.pause()
        seen[0](EncodedText((Part("loss", "late", 1),)))
        read[0]([("late", "late")])
        assert "late" not in text_of(app)


async def test_a_row_is_read_while_it_is_encoded(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace_factory(rows=4, holdout=3)
    app = OpeddevApp(root, loading.load(root))
    asked: list[Callable[[EncodedText], None]] = []
    begun: list[RowTasks] = []
    monkeypatch.setattr(RowTasks, "as_seen", lambda _tasks, _row, _trained, done: asked.append(done))
    monkeypatch.setattr(RowTasks, "prepare", lambda tasks: begun.append(tasks))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _browser(app, pilot)
        assert begun == []
        await pilot.press("j")
        await until(pilot, lambda: begun == [screen.tasks])
        await pilot.press("enter")
        await until(pilot, lambda: len(asked) == 1)
        assert screen.rows is not None
        example = screen.rows.examples[1]
        await until(pilot, lambda: "Being encoded; until then its texts as the file has them:" in text_of(app))
        assert example.completion.splitlines()[0] in text_of(app)
        assert "encoding …" in text_of(app)
        asked[0](EncodedText((Part("prompt", "as the model sees it", 5), Part("loss", "Grade: 3", 3)), 64))
        await until(pilot, lambda: "Being encoded" not in text_of(app) and "8 tokens" in text_of(app))
        assert "encoding …" not in text_of(app)


async def test_the_process_that_encodes_rows_is_there_before_a_row_is_opened(workspace_factory: Make) -> None:
    root = workspace_factory(rows=4, holdout=3)
    app = OpeddevApp(root, loading.load(root))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _browser(app, pilot)
        await pilot.press("j")
        await until(pilot, lambda: screen.tasks._process is not None)
        process = screen.tasks._process
        await pilot.press("k", "enter")
        await until(pilot, lambda: isinstance(app.screen, RowScreen) and "tokens" in text_of(app))
        assert screen.tasks._process is process


async def test_the_sealed_test_set_is_never_listed(workspace_factory: Make) -> None:
    root = workspace_factory(rows=4, batches=(3,), holdout=3, **{"paths.test": "datasets/incremental/batch_100_09"})
    sealed = root / "datasets/incremental/batch_100_09"
    sealed.mkdir()
    secret = {
        "id": "t",
        "kind": "css",
        "task": "Make",
        "submission": "SEALED",
        "rubric": "r",
        "grade": 1,
        "feedback": "f",
    }
    (sealed / "rows.jsonl").write_text(json.dumps(secret) + "\n")
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _browser(app, pilot)
        names = set()
        for _ in range(4):
            await pilot.press("right_square_bracket")
            await until(pilot, lambda: screen.rows is not None and f"[{screen.rows.name}]" in text_of(app))
            assert screen.rows is not None
            names.add(screen.rows.name)
            assert "SEALED" not in text_of(app)
        assert names == {"base", "batch_100_01", "hold-out"}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_list_is_searched_and_sorted_at_every_size(workspace_factory: Make, size: tuple[int, int]) -> None:
    root = workspace_factory(rows=30, holdout=3)
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=size) as pilot:
        screen = await _browser(app, pilot)
        grid = screen.query_one(LongList)
        await pilot.press("G")
        assert grid.cursor == 29
        await pilot.press("slash", *"row<5", "enter")
        await until(pilot, lambda: grid.count == 4)
        assert "4 of 30 rows" in text_of(app)
        await pilot.press("o", "o", "O", "slash", *" x=")
        await until(pilot, lambda: "nothing here is called x" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: grid.count == 30)


async def test_an_order_that_the_next_set_cannot_have_is_left(workspace_factory: Make) -> None:
    root = workspace_factory(rows=30, holdout=3)
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await _browser(app, pilot)
        screen.order = "highest loss first"  # as on a hold-out that was scored
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: screen.rows is not None and screen.rows.holdout and bool(screen.chosen))
        assert "3 rows · as in the files" in text_of(app)
        await pilot.press("o")
        await pilot.pause()
        assert screen.order == listing.orders_of(screen.rows or ROWS)[1]


async def test_a_hundred_thousand_lines_are_made_only_where_they_are_seen(tmp_path: Path) -> None:
    made: list[int] = []

    def line(at: int) -> str:
        made.append(at)
        return f"line {at}"

    app = OpeddevApp(tmp_path, loading.load(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        grid = app.screen.query_one(LongList)
        grid.fill(100_000, line)
        grid.focus()
        await pilot.press("G", "k", "pageup")
        assert 99_950 < grid.cursor < 99_999
        await until(pilot, lambda: f"line {grid.cursor}" in text_of(app))
        assert len(set(made)) < 200
