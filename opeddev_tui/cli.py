"""Owns the command line: the parser, lazy imports of what a command needs, problems as one clear sentence.

A command is a module in ``opeddev_tui.commands`` with ``add(parser)`` and ``run(options) -> exit code``.
"""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence

from opeddev_tui import __version__
from opeddev_tui.errors import Problem
from opeddev_tui.text import clean

# name: (module, one line of help); the order is that of the help
COMMANDS: dict[str, tuple[str, str]] = {
    "open": ("open", "open the app on a workspace (also without the word: opeddev-tui [WORKSPACE])"),
    "demo": ("demo", "make a small workspace with data and a toy model, and train it"),
    "init": ("init", "make a workspace"),
    "check": ("check", "read every batch and the hold-out, print an inventory and every problem"),
    "train": ("train", "train a step without the app"),
    "attach": ("attach", "bring the app of a running training into this terminal, or look at it (--view)"),
    "decide": ("decide", "answer the question of a training that waits: continue or stop"),
    "checkpoints": ("checkpoints", "list, show, verify, compare, pin, prune, export and try checkpoints"),
    "status": ("status", "what is trained, what is running, what comes next"),
    "note": ("note", "keep an observation on a run, in logs/observations.md and in its journal"),
    "plot": ("plot", "draw loss curves, hold-out over data-set size and examples, PNG and SVG"),
    "report": ("report", "write one HTML page and a Markdown file with everything that was found"),
    "repeat": ("repeat", "train a recorded run again and compare the weights"),
    "notify": ("notify", "try the notices to the terminal and to services"),
    "export-logs": ("export_logs", "write the numbers of all runs for other viewers"),
    "doctor": ("doctor", "versions, devices, disk, and which precision will be used"),
}

EXIT_CODES = """\
exit codes:
  0  done                      5  the model cannot be loaded or does not fit
  1  problems were found       6  the training cannot start, go on or be resumed
  2  a setting is wrong        7  another training runs in this workspace
  3  the data is wrong         130 / 143  stopped by Ctrl+C / SIGTERM, saved and resumable
  4  the disk or a checkpoint
"""

# before torch, tokenizers and the hub client are imported; a person's own values stay
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # waiting threads must not take the screen's core
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TEXTUAL_FPS": "120",  # a key waits for the next picture; without a change there is none
    "TEXTUAL_ANIMATIONS": "none",  # a slow line carries where something is, not its way there
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the module of ``command`` is imported, all of them without one."""
    parser = argparse.ArgumentParser(
        prog="opeddev-tui",
        description="Fine-tune a small language model to grade web-development code, step by step.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"opeddev-tui {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command in (None, name):
            importlib.import_module(f"opeddev_tui.commands.{module}").add(sub)
        sub.set_defaults(module=module)
    return parser


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put the word ``open`` before what is no command and no question about the program itself."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS or first in ("-h", "--help", "--version"):
        return list(arguments)
    return ["open", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; a problem is told in one sentence on stderr."""
    words = _with_command(sys.argv[1:] if arguments is None else arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if words[0] == "open":
        # looking through what is being imported finds nothing; the app switches it on after its first frame
        gc.disable()
    options = build_parser(words[0]).parse_args(words)
    try:
        module = importlib.import_module(f"opeddev_tui.commands.{options.module}")
        return int(module.run(options))
    except Problem as problem:
        print(clean(str(problem)), file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output has gone (`| head`): nothing to tell and nobody to tell it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
