"""What is shown fits the terminal as it is, and what does not fit says so; keys of one burst keep their order."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from scenes import make, opened, settle, until
from textual.widgets import Static

from opeddev_tui.ui.screens.note import NoteScreen


async def test_what_is_typed_in_one_burst_is_all_kept(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test() as pilot:
        await opened(pilot)
        await settle(app, "finished")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, NoteScreen))
        for key in ("s", "h", "o", "r", "t", "ctrl+s"):
            app.simulate_key(key)
        await until(pilot, lambda: not isinstance(app.screen, NoteScreen))
        journals = [*tmp_path.rglob("events.jsonl")]
        await until(pilot, lambda: any('"note":"short"' in path.read_text() for path in journals))


async def test_help_is_broken_for_the_width_that_the_terminal_has_now(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.resize_terminal(70, 24)
        await pilot.pause()
        parts = [*app.screen.query(".part").results(Static)]
        assert len(parts) > 2
        # no line is broken a second time
        assert [part.size.height for part in parts] == [str(part.content).count("\n") + 1 for part in parts]


async def test_a_question_with_long_reasons_names_the_figures_and_cuts_no_reason(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        asked = app.session.state.question
        assert asked is not None
        reasons = ("a short reason", *("the hold-out loss is better by a difference. " * 7,) * 3)
        app.session.state.question = replace(asked, verdict=replace(asked.verdict, reasons=reasons))
        app.show_now()
        await pilot.pause()
        bar = app.screen.query_one("#reasons", Static)
        lines = str(bar.content).splitlines()
        assert lines[0] == "Hold-out loss 0.9641: better by 0.3588 than after epoch 2."
        assert lines[1].startswith("Grades: 54% exact (to beat: 41%)")
        assert lines[2:] == ["A short reason."]
