"""Owns text that would press keys if a terminal saw it as it is, and programs for a tmux pane that show it.

``ForgedApp`` is the real app with a decision question open whose every text is such a payload; what it is told by the
terminal and what is decided is written down. ``answered_raw`` prints the payloads without a filter into a pane of such
a tmux and returns what the terminal then typed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pty_tools import PYTHON, Terminal, until
from tmux_tools import Tmux, window

from opeddev_tui import events as ev
from opeddev_tui.control import Record, send

ESC, ST, BEL = "\x1b", "\x1b\\", "\x07"
CLIPBOARD = "Zm9yZ2Vk"  # "forged"

# name: what is shown; the letters are keys that decide
PAYLOADS: dict[str, str] = {
    "primary attributes": f"{ESC}[c",
    "primary attributes, 0": f"{ESC}[0c",
    "secondary attributes": f"{ESC}[>c",
    "tertiary attributes": f"{ESC}[=c",
    "identify": f"{ESC}Z",
    "answerback": "\x05",
    "status report": f"{ESC}[5n",
    "cursor position": f"{ESC}[6n",
    "cursor position, extended": f"{ESC}[?6n",
    "printer status": f"{ESC}[?15n",
    "colour scheme": f"{ESC}[?996n",
    "terminal version": f"{ESC}[>q",
    "terminal parameters": f"{ESC}[x",
    "mode report": f"{ESC}[?2004$p{ESC}[4$p",
    "setting: style": f'{ESC}P$qm{ST}{ESC}P$q"p{ST}',
    "setting: margins": f"{ESC}P$qr{ST}{ESC}P$q q{ST}",
    "capability": f"{ESC}P+q544e{ST}{ESC}P+q636f6c6f7273{ST}",
    "foreground colour": f"{ESC}]10;?{BEL}",
    "background colour": f"{ESC}]11;?{ST}",
    "cursor colour": f"{ESC}]12;?{BEL}",
    "palette colour": f"{ESC}]4;1;?{BEL}{ESC}]4;99;?{ST}",
    "clipboard read": f"{ESC}]52;c;?{BEL}",
    "clipboard set": f"{ESC}]52;c;{CLIPBOARD}{BEL}",
    "clipboard set, primary": f"{ESC}]52;p;{CLIPBOARD}{ST}",
    "clipboard through tmux": f"{ESC}Ptmux;{ESC}{ESC}]52;c;{CLIPBOARD}{BEL}{ST}",
    "title": f"{ESC}]0;forged{BEL}",
    "title, long": f"{ESC}]2;forged\nc\ns{ST}",
    "window name": f"{ESC}kforged{ST}",
    "title report": f"{ESC}]2;c{BEL}{ESC}[21t",
    "icon report": f"{ESC}]1;s{BEL}{ESC}[20t",
    "title stack": f"{ESC}[22;0t{ESC}]0;forged{BEL}{ESC}[23;0t{ESC}[21t",
    "size reports": f"{ESC}[18t{ESC}[14t{ESC}[16t{ESC}[19t",
    "pasted c": f"{ESC}[200~c{ESC}[201~",
    "pasted s and Enter": f"{ESC}[200~s\r{ESC}[201~s",
    "kitty keyboard query": f"{ESC}[?u",
    "kitty keyboard on": f"{ESC}[>31u{ESC}[=31;1u{ESC}[?u",
    "kitty key c": f"{ESC}[99u{ESC}[99;1:1u",
    "kitty key s": f"{ESC}[115;1u{ESC}[115;1:3u",
    "other keys mode": f"{ESC}[>4;2m{ESC}[27;1;99~",
    "mouse on": f"{ESC}[?1003h{ESC}[?1006h{ESC}[?1015h",
    "mouse report": f"{ESC}[<0;10;5M{ESC}[<0;10;5m{ESC}[M !!",
    "focus report": f"{ESC}[?1004h{ESC}[I{ESC}[O",
    "defined keys": f"{ESC}P1;1|17/63;18/73{ST}{ESC}[17~",
    "eight-bit attributes": "\x9bc\x9b0c\x9b>c",
    "eight-bit reports": "\x9b5n\x9b6n",
    "eight-bit strings": f"\x9d11;?\x9c\x9d52;c;{CLIPBOARD}\x9c\x90$qm\x9c",
    "function keys": f"{ESC}OP{ESC}[11~{ESC}[A{ESC}OA",
    "line by line": "\rc\rs\n\rc\r\n",
    "cut short": f"{ESC}[5",
    "everything": f"{ESC}[c{ESC}[5n{ESC}[6n{ESC}]11;?{BEL}c{ESC}[>cs{ESC}[>q{ESC}P$qm{ST}",
}

# tells its pane to answer whatever it can, prints every payload raw and writes down what it then reads
RAW = r"""
import json, os, select, sys, termios, time, tty
payloads, found = json.load(open(sys.argv[1])), {}
tty.setraw(0)

def answers(text):
    # the report of a known place, asked for last, ends the answers
    os.write(1, text + b"\x18\x1b\\\x1b[7;9H\x1b[6n")
    read, end = b"", time.monotonic() + 5
    while not read.endswith(b"\x1b[7;9R") and time.monotonic() < end:
        if select.select([0], [], [], 0.1)[0]:
            read += os.read(0, 4096)
    return read

for name, payload in payloads.items():
    answers(b"\x1bc")
    read = answers(payload.encode())
    found[name] = read.removesuffix(b"\x1b[7;9R").hex()
json.dump(found, open(sys.argv[2] + ".new", "w"))
os.rename(sys.argv[2] + ".new", sys.argv[2])
"""

# the app, its training made by ``train``; every key, paste and mouse message that reaches it is written down
_HOOKED = r"""
import json, logging, os, sys, time
from pathlib import Path
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
(folder / "pid").write_text(str(os.getpid()))
sys.path[:0] = sys.argv[3:]
from textual import events
from opeddev_tui import config
from opeddev_tui.ui.driver import DetachableDriver
from opeddev_tui.ui.live import engine_runner
from opeddev_tui.ui.run import run_app
payloads = list(json.loads((folder / "payloads").read_text()).values())
loaded = config.load(root)
inputs = open(folder / "inputs", "a", buffering=1)
plain = DetachableDriver.process_message

def noted(driver, message):
    if isinstance(message, (events.Key, events.Paste, events.MouseEvent)):
        inputs.write(f"{message!r}\n")
    plain(driver, message)

DetachableDriver.process_message = noted
"""
_RUN = "\nsys.exit(run_app(root, loaded, start=True, runner=train))"

# a scripted training that shows one payload after the other and waits at its question each time
SCRIPTED = (
    _HOOKED
    + r"""
from hostile import asked, hostile_events
from opeddev_tui import control as ctl
from opeddev_tui.deciders import ControlDecider, StopRequested
from opeddev_tui.lock import reserved
from opeddev_tui.workspace import Workspace
commands = open(folder / "commands", "a", buffering=1)

class Next(Exception):
    pass

def other(command):
    if isinstance(command, ctl.Record) and getattr(command.fact, "note", "") == "next":
        raise Next
    commands.write(f"{command!r}\n")

def show(number, payload, sink):
    text, now = f"P{number:02} {payload} Q{number:02}", time.time()
    for event in [*hostile_events(text, now), asked(text, now)]:
        sink.emit(event)
    print(f"\nPRINTED {text}", flush=True)
    logging.getLogger("library").error("%s", text)
    return asked(text, now)

def train(root, loaded, start, sink, control):
    with reserved(Workspace(root, loaded.settings.paths)):
        control.open_mailbox(folder)
        for number, payload in enumerate(payloads):
            question = show(number, payload, sink)
            (folder / f"shown{number}").touch()
            try:
                while True:
                    commands.write(f"{ControlDecider(control).decide(lambda: question, other)!r}\n")
            except Next:
                continue
            except StopRequested as stop:
                commands.write(f"{stop!r}\n")
"""
    + _RUN
)

# the real training on data that has the payloads in every column; its model generates and its libraries print them
REAL = (
    _HOOKED
    + r"""
def train(*arguments):
    from opeddev_tui.chat import ChatEncoder
    text = " ".join(f"P{number:02} {payload} Q{number:02}" for number, payload in enumerate(payloads))
    ChatEncoder.decode = lambda encoder, ids: text
    print("\nPRINTED " + text + "\nEND OF IT", flush=True)
    return engine_runner(*arguments)
"""
    + _RUN
)
# no time in which keys do not count, none for undoing: only the filter is left between a payload and a decision
SETTINGS = "[ui]\nguard_ms = 0\nundo_seconds = 0\n"


def left_behind(tmux: Tmux, terminal: Terminal) -> list[str]:
    """Return what payloads have changed: title, name of the window, clipboard of tmux and of the terminal behind it."""
    title, name = tmux.value("pane_title", "window_name")
    found = [f"title {title!r}"] if "forged" in title or title in ("c", "s") else []
    found += [f"window {name!r}"] if name != "shown" else []
    found += ["clipboard of tmux"] if tmux.call("list-buffers") else []
    return found + (["clipboard of the terminal"] if b"\x1b]52;" in terminal.received else [])


def answered_raw(
    tmux: Tmux, terminal: Terminal, folder: Path, payloads: Mapping[str, str]
) -> tuple[dict[str, bytes], list[str]]:
    """Print payloads without a filter; return what the terminal typed for each, and what was left behind in the end."""
    source, target = folder / "raw.json", folder / "raw.found"
    source.write_text(json.dumps(payloads))
    window(tmux, folder, PYTHON, "-c", RAW + "\nimport signal; signal.pause()", str(source), str(target))
    until(target.exists, 60 + 6 * len(payloads), "the raw payloads are printed")
    found = {name: bytes.fromhex(value) for name, value in json.loads(target.read_text()).items()}
    return found, left_behind(tmux, terminal)


class PaneApp:
    """The app in a new window of a tmux; what it is told by the terminal is known. It ends with the block."""

    def __init__(self, tmux: Tmux, folder: Path, program: str, payloads: Mapping[str, str]) -> None:
        self.tmux, self.folder = tmux, folder
        self._pressed: list[str] = []
        tests = Path(__file__).parent
        (folder / "payloads").write_text(json.dumps(payloads))
        words = [str(folder / "workspace"), str(folder), str(tests), str(tests / "ui")]
        window(tmux, folder, PYTHON, "-c", program, *words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # it outlives its tmux: that is what it is made for
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    def press(self, key: str) -> None:
        """Press a key as a person; it must arrive, and with it all that came before."""
        self._pressed.append(key)
        self.tmux.press(key)
        until(lambda: f"key='{key}'" in "".join(self.lines("inputs")[len(self._pressed) - 1 :]), 10, f"key {key}")

    def shows(self, *texts: str, what: str, seconds: float = 30) -> None:
        """Wait until all of it is on the screen."""
        until(lambda: all(self.tmux.shows(text) for text in texts), seconds, what)

    def lines(self, name: str) -> list[str]:
        """Return what is written down in a file."""
        return (self.folder / name).read_text().splitlines()

    def forged(self) -> list[str]:
        """Return every key, paste and mouse message that nobody gave."""
        left = self.lines("inputs")
        for key in self._pressed:
            left.remove(next(line for line in left if f"key='{key}'" in line))
        return left


class ForgedApp(PaneApp):
    """The app with an open question, showing one payload after the other."""

    def __init__(self, tmux: Tmux, folder: Path, payloads: Mapping[str, str]) -> None:
        (folder / "workspace").mkdir()
        (folder / "workspace" / "config.toml").write_text(SETTINGS)
        self._payloads = len(payloads)
        super().__init__(tmux, folder, SCRIPTED, payloads)

    def show_all(self, told: Callable[[int], None] = lambda _: None) -> None:
        """Have every payload on Monitor, Generations and Log, the question open all the time; tell its number then."""
        for number in range(self._payloads):
            if number:
                send(self.folder, Record(ev.Annotated(epoch=1, note="next")))
            self._shown(number)
            told(number)

    def _shown(self, number: int) -> None:
        mark = f"P{number:02}"
        until((self.folder / f"shown{number}").exists, 60, f"{mark} is told")
        self.shows(f"{mark} ", "Epoch 1 of at most", what=f"{mark}: monitor")
        # a carriage return hides the start of a printed line, as a progress bar's does
        for key, words in (("2", f"{mark} "), ("4", f" Q{number:02}")):
            self.press(key)
            self.shows(words, what=f"{mark}: screen {key}")
        self.press("1")
        self.shows("Epoch 1 of at most", what=f"{mark}: back on the monitor")

    def commands(self) -> list[str]:
        """Return every command that reached the training, decisions above all."""
        return self.lines("commands")

    def decided(self, choice: str) -> None:
        """Wait until a decision has reached the training."""
        until(lambda: any(f"choice='{choice}'" in line for line in self.commands()), 10, f"decided to {choice}")
