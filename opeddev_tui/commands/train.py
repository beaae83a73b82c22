"""``train``: train a step without the app, with progress in the terminal."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from opeddev_tui import logs
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.config import LoadedSettings
from opeddev_tui.console import ConsoleView, TerminalDecider
from opeddev_tui.control import Control, Stop
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument("--step", default="next", metavar="next|all|K", help="which step (default: next)")
    parser.add_argument("--policy", choices=("rule", "ask"), help="who decides after an epoch (default: the setting)")
    parser.add_argument("--new", action="store_true", help="begin a new run instead of resuming or refusing")
    parser.add_argument(
        "--from", dest="start_from", default="", metavar="latest|best|CHECKPOINT", help="what the step starts from"
    )


def run(options: argparse.Namespace) -> int:
    """Train and return the exit code."""
    policy = [f"early_stop.policy={options.policy}"] if options.policy else []
    root, loaded = load_settings(options, policy)
    return train_here(
        root, loaded, which=options.step, new=options.new, start_from=options.start_from, console=Console()
    )


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
def _stop_on_signals(control: Control) -> Iterator[_Signals]:
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
    with console.status("loading the training stack"):
        from opeddev_tui.engine import run_steps
        from opeddev_tui.steps import StepRequest

    control = Control()
    asks = loaded.settings.early_stop.policy == "ask" and sys.stdin.isatty()
    request = StepRequest(which=which, new=new, start_from=start_from)
    with _stop_on_signals(control) as signals, ConsoleView(console) as view:
        decider = TerminalDecider(view, control) if asks else None
        runs = run_steps(root, loaded, request, sink=view, control=control, decider=decider)
    if not runs:
        console.print("Every step is trained. Add the next batch, or train one again: train --step K --new.")
    return 128 + signals.received if signals.received is not None else 0
