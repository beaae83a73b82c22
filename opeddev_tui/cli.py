"""The command line: the parser, exit codes, and problems printed as one sentence.

A command is a module in ``opeddev_tui.commands`` with ``add(parser)`` and ``run(options) -> exit code``. Must import
only the module of the command that runs, so that the app opens quickly.
"""

import argparse
import gc
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from opeddev_tui import __version__
from opeddev_tui.commands import misspelt
from opeddev_tui.errors import ModelProblem, Problem, StorageProblem, did_you_mean, ran_out_of_memory
from opeddev_tui.files import storage_problem
from opeddev_tui.ranks import launcher
from opeddev_tui.terminal.command_output import filtered, open_standard_descriptors, write_problem
from opeddev_tui.workspace.typed_commands import for_here

# name: (module, one line of help), in the order of the help
COMMANDS: dict[str, tuple[str, str]] = {
    "open": ("open", "open the app on a workspace (the same as opeddev-tui [WORKSPACE]); --run replays a recorded run"),
    "demo": ("demo", "make a small workspace with data and a toy model, and train it"),
    "init": ("init", "make a workspace: its folders and a config.toml with every setting"),
    "check": ("check", "read every batch and the hold-out, print an inventory and every problem"),
    "train": ("train", "train a step without the app; --detach: in a process of its own that outlives the login"),
    "tune": ("tune", "compare settings on folds of the training rows; the hold-out stays untouched"),
    "attach": ("open", "follow and control a running training: the same as open; --view only looks"),
    "decide": ("decide", "answer the question of a training that waits: continue or stop"),
    "checkpoints": ("checkpoints", "list, show, verify, compare, pin, prune, export and try checkpoints"),
    "push": (
        "push",
        "export a checkpoint and send it to a repository of the Hugging Face Hub, private unless --public",
    ),
    "race": ("race", "compare ways to a grade on your hold-out: heads on hidden states, grade tokens, n-grams"),
    "grade": ("grade", "grade files, folders, rows, a diff or a zip with a checkpoint; goes on where it was stopped"),
    "correct": ("correct", "say what grade a submission should get: it becomes a row of a batch after all others"),
    "regrade": ("regrade", "list rows whose grade the head disputes, correct a grade or undo it, show what it changed"),
    "propose": ("propose", "choose ungraded files or rows to grade next; --take makes the filled file the next batch"),
    "test": ("test", "score the sealed test set (paths.test) and count the look; no row of it is shown"),
    "serve": ("serve", "answer HTTP requests with a trained grader: grades, texts, health, figures"),
    "status": ("status", "what is trained, what is running, what comes next"),
    "note": ("note", "keep an observation on a run, in logs/observations.md and in its journal"),
    "plot": ("plot", "draw loss curves, hold-out loss over data-set size and examples, as PNG and SVG"),
    "report": ("report", "write one self-contained HTML page and a Markdown file with all results"),
    "repeat": ("repeat", "train a recorded run again from its manifest, say what differs and compare the weights"),
    "notify": ("notify", "send a test notice to the terminal and, through Apprise, to services"),
    "export-logs": ("export_logs", "write the numbers of all runs as TensorBoard event files or JSONL"),
    "doctor": ("doctor", "print versions, devices, free disk space, and which precision will be used and why"),
}
# what the app calls itself by; no help names them
_HIDDEN: dict[str, tuple[str, str]] = {"rank": ("rank", "be one process of a training that another process leads")}
# commands that train with one process: of several, none may take itself for the only one
_ALONE = ("repeat", "demo")
_TRAINING = ("train", "rank", *_ALONE)

EXIT_CODES = """\
exit codes:
  0  done                      5  the model cannot be loaded or does not fit
  1  problems were found       6  the training cannot start, go on or be resumed
  2  a setting is wrong        7  another training runs in this workspace
  3  the data is wrong         8  a grade is below grade --fail-below
  4  the disk or a checkpoint  9  the hub refuses, or cannot be reached
                               130 / 143  stopped by Ctrl+C / SIGTERM, saved and resumable
"""

# set before torch, tokenizers, the hub client and Textual are imported; values that a person has set are kept
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # threads that wait must not use the core that the screen needs
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TEXTUAL_FPS": "120",  # the answer to a key is drawn with the next frame; without changes none is drawn
    "TEXTUAL_ANIMATIONS": "none",  # each frame of an animation has to pass through the SSH connection
}


class Parser(argparse.ArgumentParser):
    """A parser that says which option or action was meant where one is misspelt or cut; so are its sub-parsers.

    The beginning of an option's name is not taken for it.
    """

    def __init__(self, **of_argparse: Any) -> None:
        super().__init__(**of_argparse, allow_abbrev=False)
        self._given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read ``args`` as argparse does, and keep them for what is said of a mistake."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print ``message`` with the nearest name, and leave with code 2.

        An option that is near one of this command goes first: where it is not known, what argparse says of other
        words follows from that, for it takes the option's value for something else.
        """
        name, cure = misspelt.unknown_option(self._given, _options(self))
        if name and not message.startswith("unrecognized arguments"):
            message = f"unrecognized arguments: {name}"
        choice = re.search(r"invalid choice: '([^']*)'", message)
        if choice is not None:
            cure = did_you_mean(choice[1], re.findall(r"[\w-]+", message[choice.end() :]))
        super().error(f"{message}. {cure}" if cure else message)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of ``parser`` and of the commands that it knows, without those that no help lists."""
    found: dict[str, None] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found |= dict.fromkeys(_options(sub))
        elif action.help != argparse.SUPPRESS:
            found |= dict.fromkeys(action.option_strings)
    return list(found)


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; it knows ``command`` alone, or every command if it is None."""
    parser = Parser(
        prog="opeddev-tui",
        description="Fine-tune a small language model to grade web-development code, step by step.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"opeddev-tui {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    known = {**COMMANDS, **_HIDDEN}
    for name, (module, summary) in ({command: known[command]} if command in known else COMMANDS).items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command is None or command in known:
            importlib.import_module(f"opeddev_tui.commands.{module}").add(sub)
        sub.set_defaults(module=module)
    return parser


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put ``open`` before arguments that begin with a folder or with its options; a misspelt command is refused."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS or first in _HIDDEN or first in ("-h", "--help", "--version"):
        return list(arguments)
    misspelt.refuse(first, COMMANDS)
    return ["open", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; a ``Problem`` is printed to stderr."""
    open_standard_descriptors()
    with filtered() as output:
        given = sys.argv[1:] if arguments is None else arguments
        code = _run(given)
        unwritten = write_problem(output)
        if unwritten is None:
            return code
        print(unwritten, file=sys.stderr)
        return code or unwritten.exit_code


def _run(given: Sequence[str]) -> int:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    options = argparse.Namespace()
    try:
        arguments = _with_command(given)
        if arguments[0] not in ("open", "attach"):
            # the app enables collections itself, after its first frame
            gc.enable()
        options = build_parser(arguments[0]).parse_args(arguments)
        options.launched = launcher.take(os.environ) if arguments[0] in _TRAINING else None
        launcher.remove(os.environ)
        if arguments[0] in _ALONE:
            launcher.refuse(options.launched, arguments[0])
        module = importlib.import_module(f"opeddev_tui.commands.{options.module}")
        return int(module.run(options))
    except Problem as problem:
        print(_in_words(problem, options), file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        # the machine's doing, not the code's: a folder of another user, a disk that fails
        print(storage_problem(error, error.filename or "the workspace", "used"), file=sys.stderr)
        return StorageProblem.exit_code
    except Exception as error:  # noqa: BLE001 - a bug: Python would print its text, which may come from outside, as it is
        if ran_out_of_memory(error):
            print("The machine's memory has run out. Close other programs, or use a smaller model.", file=sys.stderr)
            return ModelProblem.exit_code
        traceback.print_exc()
        return 1
    finally:
        gc.enable()


def _in_words(problem: Problem, options: argparse.Namespace) -> str:
    """Return what ``problem`` says; commands in it are complete for the folder of now."""
    named: Path | None = getattr(options, "place", None) or getattr(options, "workspace", None)
    return str(problem) if named is None else for_here(str(problem), named.expanduser().resolve())


if __name__ == "__main__":
    sys.exit(main())
