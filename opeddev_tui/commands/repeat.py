"""``repeat``: train a recorded run again as a new run, and say whether the weights are equal."""

import argparse
from typing import TYPE_CHECKING

from rich.text import Text

from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.foreground import trained_in_terminal
from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.commands.seeds import add_seeds, refuse_without_seeds, repeat_with_seeds
from opeddev_tui.runs import log
from opeddev_tui.runs.control import Control
from opeddev_tui.text import clean

if TYPE_CHECKING:
    from opeddev_tui.training.reproduce import Outcome, Repetition


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", metavar="RUN", help="the id of the run, as in opeddev-tui status")
    add_workspace(parser)
    parser.add_argument("--check", action="store_true", help="only say whether it can be repeated, and what differs")
    add_seeds(parser, "train its step again with N other seeds, beside this run, and compare the figures")
    parser.epilog = (
        "Exit code 1: the weights differ although the environment is the same. Equal weights are promised on a CPU "
        "with the same versions, not on a GPU."
    )


def run(options: argparse.Namespace) -> int:
    """Repeat the run; return the exit code."""
    workspace, loaded = open_workspace(options)
    if options.seeds:
        return repeat_with_seeds(workspace, loaded, options)
    refuse_without_seeds(options)
    console = CleanConsole(workspace.root)
    log.to_file(workspace.log)
    with console.status("loading the training stack"):
        from opeddev_tui.training.reproduce import plan_repeat, repeat

        plan = plan_repeat(workspace, loaded, options.run)
    for difference in plan.differences or ["nothing differs in the environment"]:
        console.print(Text(f"  {clean(difference)}"))
    if options.check:
        return 0
    control = Control()
    with trained_in_terminal(workspace, control) as signals:
        with ConsoleView(console) as view:
            outcome = repeat(workspace, plan, sink=view, control=control)
        return _told(console, plan, outcome) if outcome is not None else signals.exit_code or 1


def _told(console: CleanConsole, plan: "Repetition", outcome: "Outcome") -> int:
    """Say whether the weights are equal; return the exit code."""
    if outcome.same:
        console.print(Text(f"Bit-equal weights at every one of {len(outcome.equal)} checkpoints: run {outcome.run}."))
        return 0
    console.print(Text(f"The weights differ at optimizer steps {outcome.unequal}: run {outcome.run}."))
    return 0 if plan.differences else 1
