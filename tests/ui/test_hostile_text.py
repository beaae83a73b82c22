"""Text from models, data, files and errors on every screen: no crash, no action, no control byte on the wire."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import screen_text
from hostile import PAYLOADS, asked, harm_in, hostile_events
from pty_tools import PYTHON, Terminal, end, until
from scenes import ALIVE, make, opened, run_id, settle, started, write
from textual.pilot import Pilot

from opeddev_tui.checkpoints.catalog import CheckpointList, Entry
from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.view import BatchRow, RunRow
from opeddev_tui.workspace.paths import Workspace

LARGE = (200, 60)
AT = 1_700_000_000.0


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 30


@asynccontextmanager
async def shown(folder: Path, mode: str) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    """The app at rest on one screen."""
    assert "hostile" in ALIVE
    app = make(folder, "hostile")
    async with app.run_test(size=LARGE) as pilot:
        await opened(pilot)
        await settle(app, "hostile")
        if mode != "monitor":
            await app.run_action(f"app.go('{mode}')")
        await pilot.pause()
        yield app, pilot
        assert app.is_running
        assert app._exception is None
        assert app.return_value is None


async def unharmed(app: OpeddevApp, pilot: Pilot[str], name: str) -> None:
    app.show_now()
    await pilot.pause()
    assert harm_in(screen_text.strips_of(app.screen)) == set(), name
    for widget in app.screen.query("*"):
        for title in (widget.border_title, widget.border_subtitle, widget.tooltip):
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(title or "")), (name, widget)


def put(app: OpeddevApp, payload: str) -> None:
    """Let the run on show and the data be made of ``payload``."""
    app.session.current = reduce(hostile_events(payload, AT))
    rows = tuple(BatchRow(payload, number, rows=3, problem=payload if number else "") for number in range(2))
    app.session.scan = Scan(rows, problems=(payload,), warnings=(payload,), holdout=payload)


async def test_the_monitor(tmp_path: Path) -> None:
    async with shown(tmp_path, "monitor") as (app, pilot):
        for name, payload in PAYLOADS.items():
            put(app, payload)
            app.session.current.apply(asked(payload, AT))
            await unharmed(app, pilot, f"{name}, asked")
            app.session.trouble = payload
            app.session.current.apply(ev.RunFailed(at=AT, kind="data", message=payload))
            await unharmed(app, pilot, f"{name}, failed")
            app.session.trouble = ""


@pytest.mark.parametrize("mode", ["generations", "runs"])
async def test_screens_of_the_run(tmp_path: Path, mode: str) -> None:
    async with shown(tmp_path, mode) as (app, pilot):
        for name, payload in PAYLOADS.items():
            put(app, payload)
            app.session.rows = (RunRow(payload, app.session.current, "failed"), RunRow("empty", RunState(), "empty"))
            await unharmed(app, pilot, name)
            app.session.rows = ()


async def test_the_checkpoints(tmp_path: Path) -> None:
    async with shown(tmp_path, "checkpoints") as (app, pilot):
        for name, payload in PAYLOADS.items():
            entry = Entry(folder=Path("/store") / "x", run=payload, step=1, epoch=1.0, global_step=5, parent=payload,
                          base=payload, rows=3, size=9, created=AT, lora=False, published=True, note=payload,
                          precision=payload, marks=(payload,))  # fmt: skip
            shelf = CheckpointList(entries=(entry,), batches={payload: payload})
            app.screen._take(shelf)  # type: ignore[attr-defined]
            await unharmed(app, pilot, name)


async def test_the_log(tmp_path: Path) -> None:
    async with shown(tmp_path, "log") as (app, pilot):
        log = tmp_path / "logs" / "train.log"
        for name, payload in PAYLOADS.items():
            content = f"before\nERROR {payload[:3000]}\nafter {name}\n"
            log.write_bytes(content.encode("utf-8", "surrogatepass"))
            app.screen._take(app.provider.log_tail())  # type: ignore[attr-defined]
            await unharmed(app, pilot, name)


async def test_the_settings_and_their_editor(tmp_path: Path) -> None:
    async with shown(tmp_path, "settings") as (app, pilot):
        for name, payload in PAYLOADS.items():
            text = payload[:2000].encode("utf-8", "replace").decode()
            layer = loading.Layer(payload[:300], {"grading": {"system_prompt": text}})
            app.loaded = loading.resolve([layer])
            app.screen.fill()  # type: ignore[attr-defined]
            await unharmed(app, pilot, name)
        await pilot.press("slash", *"system_prompt", "enter")
        for name in ("action", "set clipboard", "closing tag", "line ends", "right to left"):
            app.loaded = loading.resolve([loading.Layer(name, {"grading": {"system_prompt": PAYLOADS[name]}})])
            app.screen.fill()  # type: ignore[attr-defined]
            await pilot.press("enter")
            await pilot.pause()
            await unharmed(app, pilot, f"{name}, edited")
            await pilot.press("escape")
            await pilot.pause()


async def test_notices_and_questions(tmp_path: Path) -> None:
    from opeddev_tui.ui.widgets.dialogs import AskScreen

    async with shown(tmp_path, "monitor") as (app, pilot):
        for name, payload in PAYLOADS.items():
            app.tell(payload, severity="error")
            await unharmed(app, pilot, name)
            app.clear_notifications()
        for name, payload in PAYLOADS.items():
            app.push_screen(AskScreen(payload[:500], payload[:5000], (("y", "yes", payload[:500]),)))
            await unharmed(app, pilot, name)
            app.pop_screen()
            await pilot.pause()


# what the app itself writes: cursor, colours, modes, questions about them, the window's title
_ALLOWED = re.compile(
    rb"\x1b\[[0-9;]*[Hm]|\x1b\]22;[a-z-]*\x07|\x1b\[2[23];2t|\x1b\]2;[^\x00-\x1f\x7f]*\x1b\\"
    rb"|\x1b\[\?[0-9;]+[hl]|\x1b\[[<>]\d*u|\x1b\[\?(?:2026|2048)\$p|\x1b\[0?J"
)


def _is_here(terminal: Terminal, place: str) -> bool:
    at = terminal.lines()[0].find(place)
    return at >= 0 and terminal.is_reversed(0, at)


def test_no_control_byte_on_the_wire(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    workspace = Workspace(tmp_path, loading.load(tmp_path).settings.paths)
    everything = "".join(payload[:60] for payload in PAYLOADS.values()).encode("utf-8", "replace").decode()
    write(workspace, run_id(0), [started(0, everything, at=AT), ev.RunFailed(at=AT, kind="data", message=everything)])
    write(workspace, run_id(1), [*hostile_events(everything, AT), asked(everything, AT)])
    workspace.log.write_text(everything)
    terminal = Terminal(160, 45)
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", str(tmp_path)])
    try:
        until(lambda: terminal.shows("Live metrics"), 30)
        until(lambda: terminal.shows("did not end well"), 20, "the question after a crash")
        terminal.press("\x1b")
        until(lambda: not terminal.shows("did not end well"), 20)
        for key, mark in (
            ("2", "2 Generations"),
            ("4", "4 Log"),
            ("5", "5 Settings"),
            ("6", "6 Runs"),
            ("1", "1 Monitor"),
        ):
            terminal.press(key)
            until(lambda mark=mark: _is_here(terminal, mark), 20, mark)
        whole = re.sub(rb"\x1b[^a-zA-Z]*\Z", b"", bytes(terminal.received))  # one may be under way
        left = _ALLOWED.sub(b"", whole)
        control = {byte for byte in left if byte < 0x20 and byte not in b"\r\n"} | ({0x7F} & set(left))
        assert control == set(), [left[max(0, at - 20) : at + 30] for at in range(len(left)) if left[at] == 0x1B][:5]
        assert not re.search(rb"\xc2[\x80-\x9f]", left), "an eight-bit control character"
    finally:
        end(process)
        terminal.close()
