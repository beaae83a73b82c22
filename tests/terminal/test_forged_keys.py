"""Text of a model in a real tmux: what makes a terminal type or sets its clipboard does nothing in the app."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from forged import PAYLOADS, ForgedApp, answered_raw, left_behind
from pty_tools import until
from tmux_tools import permissive_tmux

SOME = ("primary attributes", "title report", "clipboard set", "pasted c", "eight-bit attributes", "everything")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="a real tmux is needed")
def test_no_text_presses_a_key(tmp_path: Path) -> None:
    some = {name: PAYLOADS[name] for name in SOME}
    with permissive_tmux(tmp_path / "raw") as (tmux, terminal):
        # without the filter they do what they are made for
        typed, _ = answered_raw(tmux, terminal, tmp_path / "raw", some)
        until(lambda: {"clipboard of tmux", "clipboard of the terminal"} <= set(left_behind(tmux, terminal)), 10)
    assert {"primary attributes", "everything"} <= {name for name, answer in typed.items() if answer}
    with (
        permissive_tmux(tmp_path / "app") as (tmux, terminal),
        ForgedApp(tmux, tmp_path / "app", some) as app,
    ):
        app.show_all()
        # a person's key does decide: what is counted would have been seen, and nothing is on its way any more
        app.press("c")
        app.decided("continue")
        assert app.forged() == []
        assert len(app.commands()) == 1
        assert left_behind(tmux, terminal) == []


def test_there_are_fifty_payloads() -> None:
    assert len(set(PAYLOADS.values())) >= 50
