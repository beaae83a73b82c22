"""Say what was meant by a word that is no command and by an option that there is not: only what is near, or does that.

Must load nothing that the right words would not.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from opeddev_tui.errors import SettingsProblem, did_you_mean, nearest
from opeddev_tui.text import clean_line

_TRAIN = "opeddev-tui train trains the next step, or goes on with a run that was interrupted."
_SETTINGS = "config.toml has the settings (in the app: 5); --set section.key=value changes one for one call."
_GRADE = "opeddev-tui grade FILE grades; opeddev-tui checkpoints evaluate scores a checkpoint."
_DATA = "opeddev-tui check reads all rows and lists what is wrong; in the app 8 shows them."
# what other programs call it, and what does it here
_MEANT = {
    **dict.fromkeys(("runs", "history", "steps"), "opeddev-tui status lists the steps; in the app 6 lists all runs."),
    "compare": "In the app C compares runs; opeddev-tui checkpoints diff compares two checkpoints.",
    "undo": "In the app u undoes a decision; regrade --undo and correct --undo take back a grade.",
    **dict.fromkeys(("stop", "continue", "answer"), "opeddev-tui decide answers a training that waits."),
    "pause": "In the app p pauses the training.",
    **dict.fromkeys(("start", "run", "resume", "fit", "finetune"), _TRAIN),
    **dict.fromkeys(("settings", "config", "set", "configure"), _SETTINGS),
    **dict.fromkeys(("log", "logs"), "logs/train.log is the log; in the app: 4."),
    **dict.fromkeys(("new", "create", "setup"), "opeddev-tui init FOLDER makes a workspace."),
    **dict.fromkeys(("predict", "score", "eval", "infer"), _GRADE),
    **dict.fromkeys(("rows", "data", "validate", "lint"), _DATA),
    **dict.fromkeys(("delete", "remove", "rm", "clean"), "opeddev-tui checkpoints prune deletes checkpoints."),
    **dict.fromkeys(("app", "ui", "tui", "monitor", "watch"), "opeddev-tui alone opens the app."),
    **dict.fromkeys(("tensorboard", "wandb", "mlflow"), "opeddev-tui export-logs writes for other programs."),
    "help": "opeddev-tui --help lists all commands, opeddev-tui COMMAND --help what one takes.",
    "version": "opeddev-tui --version says it.",
    "upload": "opeddev-tui push sends a checkpoint to the hub.",
}


def refuse(word: str, commands: Iterable[str]) -> None:
    """Raise ``SettingsProblem`` where ``word`` stands for a command, but is none of ``commands`` and no folder."""
    if not word or word[0] in "-.~" or "/" in word or os.path.lexists(word):
        return
    raise SettingsProblem(f"{clean_line(word)} is no command and no folder.", cure=_cure(word, commands))


def _cure(word: str, commands: Iterable[str]) -> str:
    import shlex  # as the modules below: only where a word is wrong

    from opeddev_tui.commands.checkpoints import ACTIONS
    from opeddev_tui.workspace.setup import workspaces_below

    meant = _MEANT.get(word.lower())
    if meant is not None:
        return meant
    here = {found.name: shlex.quote(found.name) for found in workspaces_below(Path())}
    full = here | {name: f"checkpoints {name}" for name in ACTIONS} | {name: name for name in commands}
    near = nearest(word.lower(), full)
    return f"Did you mean opeddev-tui {full[near]}?" if near is not None else f"Commands: {', '.join(commands)}."


def unknown_option(given: Sequence[str], known: Iterable[str]) -> tuple[str, str]:
    """Return the first of ``given`` that is none of ``known`` though something near is, and the cure; else "" twice.

    ``known`` are the options as they are listed, without those that only the app itself uses. The beginning of an
    option's name stands for nothing, as it would stand for another option once there is a new one. What is no option,
    but a setting, is told as ``--set`` where ``known`` has that.
    """
    names = list(known)
    for word in itertools.takewhile(lambda word: word != "--", given):
        name, _, value = word.partition("=")
        if not _is_option(word, names) or name in names:
            continue
        cure = _option_meant(f"--{name.lstrip('-')}", names)
        if not cure and "--set" in names:
            cure = _setting_meant(name.lstrip("-"), value or _after(given, word))
        if cure:
            return name, cure
    return "", ""


def _is_option(word: str, known: Sequence[str]) -> bool:
    """Return whether ``word`` was meant as a long option: neither a number nor a short option with its value."""
    long = re.match(r"--[a-zA-Z][\w-]*(=|$)|-[a-zA-Z][\w-]+(=|$)", word)
    return long is not None and (word.startswith("--") or word[:2] not in known)


def _option_meant(name: str, known: Sequence[str]) -> str:
    longer = [option for option in known if option.startswith(name)]
    return f"Did you mean {' or '.join(longer)}?" if longer else did_you_mean(name, known)


def _after(given: Sequence[str], word: str) -> str:
    value = "".join(given[given.index(word) + 1 :][:1])
    return "" if value.startswith("-") else value


def _setting_meant(name: str, value: str) -> str:
    from opeddev_tui.config.described import meant_setting

    key = meant_setting(name)
    return f"That is a setting: --set {key}={value or 'VALUE'}" if key is not None else ""
