"""``train``: train a step without the app and print its progress."""

import argparse
from pathlib import Path

from opeddev_tui import launch
from opeddev_tui.commands import launched
from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.foreground import ALL_TRAINED, how_to_answer, trained_in_terminal
from opeddev_tui.commands.options import add_from, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.commands.seeds import add_seeds, seeds_here, wants_seeds
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.notices import terminal as notify_terminal
from opeddev_tui.ranks import launcher
from opeddev_tui.ranks.crew import Crew
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import for_here, reopening


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
    add_from(parser, "what the step starts from (default: training.start_from)", base=False)
    add_seeds(parser, "train the step with several seeds, a run each: at once where there are GPUs, else in turn")
    # one run of several, started by the process that leads them
    parser.add_argument("--member", default="", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Train and return the exit code."""
    if options.member:
        from opeddev_tui.groups.member import train_member

        workspace, loaded = open_workspace(options)
        return train_member(workspace.root, loaded, options.member)
    policy = [f"early_stop.policy={options.policy}"] if options.policy else []
    one_of: Launched | None = options.launched
    if one_of is not None and one_of.rank > 0:
        return launched.be_hand(one_of)
    with launched.leading(one_of) as crew:
        workspace, loaded = open_workspace(options, policy)
        if options.detach:
            launcher.refuse(one_of, "train --detach")
            return _detach(workspace, options)
        request = StepRequest(which=options.step, new=options.new, start_from=options.source)
        if wants_seeds(workspace, loaded, options, request):
            launcher.refuse(one_of, "train --seeds")
            return seeds_here(workspace, loaded, options, request)
        _, loaded = open_workspace(options, [*policy, *launched.overrides(one_of, loaded)])
        return train_here(workspace.root, loaded, request, crew)


def _detach(workspace: Workspace, options: argparse.Namespace) -> int:
    """Start the training in a process of its own and print how to watch and stop it."""
    root = workspace.root
    words = ["train", "-w", str(root), "--step", options.step]
    words += ["--policy", options.policy] if options.policy else []
    words += ["--new"] if options.new else []
    words += ["--from", options.source] if options.source else []
    words += [f"--seeds={options.seeds}"] if options.seeds else []
    words += [f"--choose={options.choose}"] if options.choose else []
    words += [f"--at-once={options.at_once}"] if options.at_once else []
    words += [f"--set={override}" for override in options.overrides]
    pid = launch.start_detached(workspace, words)
    print(
        f"Training in process {pid}, without a screen; it goes on when you log out.\n"
        f"  {reopening(root)}   watch it and decide\n"
        f"  {for_here('opeddev-tui status', root)}\n"
        f"  kill -TERM {pid}   save and stop, resumable\n"
        f"Log: {workspace.log}"
    )
    return 0


def train_here(root: Path, loaded: LoadedSettings, request: StepRequest, crew: Crew | None = None) -> int:
    """Train in this process and print the progress; return the exit code.

    ``crew`` are the other ranks where a launcher has started them.
    """
    control = Control()
    answer_with = how_to_answer(root) if loaded.settings.early_stop.policy == "ask" else ""
    console = CleanConsole(root)
    # a launcher that was hung up kills its processes within half a minute: this one saves
    with trained_in_terminal(Workspace(root, loaded.settings.paths), control, hangup_ends=crew is not None) as signals:
        with ConsoleView(console, answer_with) as view:
            terminal = notify_terminal.terminal()
            runs = launch.train(root, loaded, request, view, control, terminal=terminal, crew=crew)
        if not runs:
            console.say(ALL_TRAINED)
    code = signals.exit_code or 0
    if crew is not None:
        crew.code = code
    return code
