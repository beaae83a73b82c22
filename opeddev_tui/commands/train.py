"""``train``: train a step without the app, with progress in the terminal."""

import argparse
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from opeddev_tui import logs, notify_terminal
from opeddev_tui.afterwards import attended
from opeddev_tui.background import start_detached
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.config import LoadedSettings
from opeddev_tui.console import ConsoleView
from opeddev_tui.control import Control, StepRequest, Stop
from opeddev_tui.lock import reserved
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument("--step", default="next", metavar="next|all|K", help="which step (default: next)")
    parser.add_argument(
        "--policy",
        choices=("rule", "ask"),
        help="who decides after an epoch: the rule, or you in the app or by decide (default: the setting)",
    )
    parser.add_argument("--new", action="store_true", help="begin a new run instead of resuming or refusing")
    parser.add_argument("--detach", action="store_true", help="train without a screen, and go on after this login")
    parser.add_argument("--in-background", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--from", dest="start_from", default="", metavar="latest|best|CHECKPOINT", help="what the step starts from"
    )


def run(options: argparse.Namespace) -> int:
    """Train and return the exit code."""
    policy = [f"early_stop.policy={options.policy}"] if options.policy else []
    root, loaded = load_settings(options, policy)
    if options.detach:
        return _detach(root, loaded, options)
    if options.in_background:
        return _in_background(root, loaded, options)
    return train_here(
        root, loaded, which=options.step, new=options.new, start_from=options.start_from, console=Console()
    )


def _detach(root: Path, loaded: LoadedSettings, options: argparse.Namespace) -> int:
    """StepRequest the training in a process of its own and say how to get to it."""
    words = ["train", "--in-background", "-w", str(root), "--step", options.step]
    words += ["--policy", options.policy] if options.policy else []
    words += ["--new"] if options.new else []
    words += ["--from", options.start_from] if options.start_from else []
    words += [f"--set={override}" for override in options.overrides]
    workspace = Workspace(root, loaded.settings.paths)
    pid = start_detached(workspace, words)
    print(
        f"Training in process {pid}, without a screen; it goes on when you log out.\n"
        f"  opeddev-tui attach {root}          take its screen here\n"
        f"  opeddev-tui attach --view {root}   only look\n"
        f"  opeddev-tui status -w {root}\n"
        f"  kill -TERM {pid}   save and stop, resumable\n"
        f"Log: {workspace.log}"
    )
    return 0


def _in_background(root: Path, loaded: LoadedSettings, options: argparse.Namespace) -> int:
    """Be the process that ``--detach`` starts: the app without a terminal, until somebody attaches."""
    with reserved(Workspace(root, loaded.settings.paths)):
        from opeddev_tui.ui.run import run_app

        start = StepRequest(which=options.step, new=options.new, start_from=options.start_from)
        return run_app(root, loaded, start=start, detached=True)


class _Signals:
    """What was received, and what it asks of the training."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.received: int | None = None

    def handle(self, number: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler's signature
        """The first one saves and stops at the next safe point; the second one leaves at once."""
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number
        self._control.request(Stop(reason=signal.Signals(number).name))


@contextmanager
def stop_on_signals(control: Control) -> Iterator[_Signals]:
    """Ask ``control`` to stop at the first SIGINT or SIGTERM inside the block."""
    signals = _Signals(control)
    before = {number: signal.signal(number, signals.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train_here(
    root: Path,
    loaded: LoadedSettings,
    *,
    which: str = "next",
    new: bool = False,
    start_from: str = "",
    console: Console,
) -> int:
    """Train in this process and show progress on ``console``; return the exit code."""
    logs.to_file(Workspace(root, loaded.settings.paths).log)
    with reserved(Workspace(root, loaded.settings.paths)):
        return _train(root, loaded, which=which, new=new, start_from=start_from, console=console)


def how_to_answer(root: Path) -> str:
    """Return in words what answers a question of the training in ``root`` from another terminal."""
    place = "" if root == Path.cwd() else f" {shlex.quote(str(root))}"
    here = f" -w{place}" if place else ""
    return f"opeddev-tui decide{here} continue (or stop), or the app: opeddev-tui{place}"


def _train(root: Path, loaded: LoadedSettings, *, which: str, new: bool, start_from: str, console: Console) -> int:
    with console.status("loading the training stack"):
        from opeddev_tui.engine import run_steps

    control = Control()
    answer_with = how_to_answer(root) if loaded.settings.early_stop.policy == "ask" else ""
    request = StepRequest(which=which, new=new, start_from=start_from)
    with (
        stop_on_signals(control) as signals,
        ConsoleView(console, answer_with) as view,
        attended(root, loaded.settings, view, terminal=notify_terminal.terminal()) as sink,
    ):
        runs = run_steps(root, loaded, request, sink=sink, control=control)
    if not runs:
        console.print("Every step is trained. Add the next batch, or train one again: train --step K --new.")
    return 128 + signals.received if signals.received is not None else 0
