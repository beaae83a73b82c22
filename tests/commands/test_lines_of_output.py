"""Lines of output break between words, in a terminal of any width; figures are rounded wherever they are compared."""

import io
from pathlib import Path

import pytest

from opeddev_tui.checkpoints.catalog import CheckpointList, Entry
from opeddev_tui.commands.printing import CleanConsole, between_words
from opeddev_tui.ui.screens.checkpoints import listing

TEXT = "The folder grades as here in memory with the base model, /a/path/that/is/longer/than/a/line/of/40.bin too."


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("terminal", [False, True])
def test_no_word_is_broken(monkeypatch: pytest.MonkeyPatch, width: int, terminal: bool) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TTY_COMPATIBLE" if terminal else "NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", out := io.StringIO())
    console = CleanConsole()
    assert console.is_terminal == terminal
    console.say(TEXT, soft_wrap=True)
    lines = out.getvalue().splitlines()
    assert " ".join(" ".join(lines).split()) == TEXT
    assert (len(lines) == 1) == (not terminal or width == 200)
    assert all(len(line) <= width for line in lines if " " in line.strip()) or not terminal


def test_a_command_to_copy_stays_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("sys.stdout", out := io.StringIO())
    command = "then: opeddev-tui propose --take datasets/proposals/rows.jsonl"
    CleanConsole().say(command, soft_wrap=True)
    assert out.getvalue() == f"{command}\n"


def test_lines_and_their_indents_stay() -> None:
    assert between_words("a\n\n  b", 10) == "a\n\n  b"


def test_shares_are_compared_in_percent_and_a_replaced_precision_is_said() -> None:
    one, two = (
        Entry(Path(f"/s/run/checkpoint-{at}"), "run", 1, at, 10, 1.0, True, human=human, exact=exact, precision="fp32")
        for at, human, exact in ((1, 2 / 3, 0.26), (2, None, 1 / 7))
    )
    shelf = CheckpointList((one, two), settings={"run": {"model": {"precision": "fp16"}}})
    told = {name: (a, b) for name, a, b in listing.differences(shelf, one, two)}
    assert (told["human"], told["exact"]) == (("67%", "–"), ("26%", "14%"))
    facts = listing.detail(shelf, one, {}, 2.0)
    assert "model.precision = fp16 was asked for, fp32 was used" in facts
    for asked in ("fp32", "auto"):
        shelf = CheckpointList((one, two), settings={"run": {"model": {"precision": asked}}})
        assert f"model.precision = {asked}" in listing.detail(shelf, one, {}, 2.0)
