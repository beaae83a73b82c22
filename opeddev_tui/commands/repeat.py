"""``repeat``: train a recorded run again, as a new run, and say whether the weights agree."""

import argparse

from rich.console import Console
from rich.text import Text

from opeddev_tui import logs
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.commands.train import stop_on_signals
from opeddev_tui.console import ConsoleView
from opeddev_tui.control import Control
from opeddev_tui.text import clean
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", metavar="RUN", help="the id of the run, as in opeddev-tui status")
    add_workspace(parser)
    parser.add_argument("--check", action="store_true", help="only say whether it can be repeated and what differs")
    parser.epilog = (
        "Exit code 1: the weights differ although nothing in the environment does. On a GPU equal weights are not "
        "promised; on a CPU with the same versions they are."
    )


def run(options: argparse.Namespace) -> int:
    """Repeat the run; return the exit code."""
    root, loaded = load_settings(options)
    workspace = Workspace(root, loaded.settings.paths)
    console = Console()
    logs.to_file(workspace.log)
    with console.status("loading the training stack"):
        from opeddev_tui.repeat import plan_repeat, repeat

        plan = plan_repeat(workspace, loaded, options.run)
    for difference in plan.differences or ["nothing differs in the environment"]:
        console.print(Text(f"  {clean(difference)}"))
    if options.check:
        return 0
    control = Control()
    with stop_on_signals(control) as signals, ConsoleView(console) as view:
        outcome = repeat(workspace, plan, sink=view, control=control)
    if outcome is None:
        return 128 + signals.received if signals.received is not None else 1
    if outcome.same:
        console.print(Text(f"Bit-equal weights at every one of {len(outcome.equal)} checkpoints: run {outcome.run}."))
        return 0
    console.print(Text(f"The weights differ at optimizer steps {outcome.unequal}: run {outcome.run}."))
    return 0 if plan.differences else 1
