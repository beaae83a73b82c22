"""Train a step with several seeds in a terminal, for ``train --seeds`` and ``repeat --seeds``."""

import argparse
from collections.abc import Mapping

from opeddev_tui.commands.foreground import ALL_TRAINED, how_to_answer, trained_in_terminal
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.commands.seed_tables import SeedsView, print_spread
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.groups.requests import SeedsRequest, open_seeds, other_seeds, parse_seeds
from opeddev_tui.groups.seeds import train_seeds
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.workspace.paths import Workspace

_HOWS = ("best", "median", "ask")


def add_seeds(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the options of a training with several seeds; ``what`` is the help of --seeds."""
    parser.add_argument(
        "--seeds",
        default="",
        metavar="N|A,B,C",
        help=what,
    )
    parser.add_argument(
        "--choose",
        default="",
        metavar="best|median|ask|SEED",
        help="with --seeds: which run becomes the step's (default: best, by early_stop.metric)",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=0,
        metavar="N",
        help="with --seeds: runs at the same time (default: one per GPU; one on a CPU)",
    )


def wants_seeds(workspace: Workspace, loaded: LoadedSettings, options: argparse.Namespace, step: StepRequest) -> bool:
    """Return whether ``options`` ask for several seeds, or the step was begun with several.

    Raises ``SettingsProblem`` for options that need --seeds.
    """
    if options.seeds or open_seeds(workspace, loaded, step) is not None:
        return True
    refuse_without_seeds(options)
    return False


def refuse_without_seeds(options: argparse.Namespace) -> None:
    """Raise ``SettingsProblem`` for options that have no effect without --seeds."""
    if options.choose or options.at_once:
        given = "--choose" if options.choose else "--at-once"
        raise SettingsProblem(f"{given} is only for several seeds.", cure="Add --seeds N.")


def repeat_with_seeds(workspace: Workspace, loaded: LoadedSettings, options: argparse.Namespace) -> int:
    """Train the step of a finished run with other seeds, beside that run; return the exit code."""
    step, beside = other_seeds(workspace, options.run)
    return seeds_here(workspace, loaded, options, step, beside, max(beside.values()) + 1)


def seeds_here(
    workspace: Workspace,
    loaded: LoadedSettings,
    options: argparse.Namespace,
    step: StepRequest,
    beside: Mapping[str, int] | None = None,
    first: int | None = None,
) -> int:
    """Train and print the progress; return the exit code.

    ``beside`` are the finished runs that take part, with their seeds; ``first`` is the first of N seeds.
    """
    first = loaded.settings.training.seed if first is None else first
    request = SeedsRequest(
        step=step,
        seeds=parse_seeds(options.seeds, first) if options.seeds else None,
        choose=_choice(options.choose),
        policy=getattr(options, "policy", None),
        at_once=at_once(options.at_once),
        overrides=tuple(options.overrides),
        beside=tuple(beside or ()),
    )
    control, console = Control(), CleanConsole(workspace.root)
    answer_with = how_to_answer(workspace.root) if request.policy == "ask" else ""
    with trained_in_terminal(workspace, control) as signals:
        trained = train_seeds(workspace.root, loaded, request, SeedsView(console, answer_with), control)
        for spread in trained.steps:
            print_spread(console, spread)
        if not trained.steps:
            console.say(ALL_TRAINED)
    return signals.exit_code or trained.exit_code


def _choice(text: str) -> str | None:
    if not text:
        return None
    if text in _HOWS or (text.isascii() and text.isdecimal()):
        return text
    raise SettingsProblem(f"{text!r} chooses no seed.", where="--choose", cure="Write best, median, ask or a seed.")


def at_once(number: int) -> int:
    """Return how many runs train at the same time; raises ``SettingsProblem`` for what is not possible."""
    if 0 <= number <= 64:
        return number
    raise SettingsProblem(f"{number} runs at the same time are not possible.", where="--at-once", cure="Write 1 to 64.")
