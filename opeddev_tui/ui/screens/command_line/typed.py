"""What can be typed into the line for commands: its words, completion, and what is said while it is typed.

Pure: ``Known`` has the names that the app knows at the moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from opeddev_tui.config import described
from opeddev_tui.errors import SettingsProblem, did_you_mean
from opeddev_tui.text import clean_line


class Known(Struct, frozen=True):
    """Names for completion. ``actions`` are those of the keys of this screen, then of others, with their help."""

    themes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    screens: tuple[str, ...] = ()
    panes: tuple[str, ...] = ()
    actions: Mapping[str, str] = {}
    lora: bool = False
    # a setting's value as TOML
    values: Mapping[str, str] = {}


class Word(Struct, frozen=True):
    """A command: its name, what may follow it, a sentence of help, and completions of what follows."""

    name: str
    form: str
    help: str
    complete: Callable[[Known, str], Sequence[str]] = lambda _known, _rest: ()


def _settings(known: Known, rest: str) -> Sequence[str]:
    name, equals, _ = rest.partition("=")
    if not equals:
        return [f"{full}=" for full in _like(described.known_keys(), name)]
    full = full_name(name, lora=known.lora)
    if full is None:
        return ()
    choices = described.choices(*full.split(".", 1))
    options = choices or list(known.themes if full == "ui.theme" else ())
    return [f"{name}={option}" for option in options or [known.values.get(full, "")]]


def _next(known: Known, rest: str) -> Sequence[str]:
    name, equals, _ = rest.partition("=")
    if equals and name == "batch":
        return [f"batch={batch}" for batch in known.batches]
    return ["learning_rate=", "batch="] if not equals else ()


def _like(names: Sequence[str], typed: str) -> list[str]:
    """Return the names that begin with what is typed, then those whose last part does."""
    first = [name for name in names if name.startswith(typed)]
    return first + [name for name in names if name not in first and name.rpartition(".")[2].startswith(typed)]


WORDS: tuple[Word, ...] = (
    Word("set", "NAME=VALUE", "Change a setting; it is saved as on the Settings screen.", _settings),
    Word("unset", "NAME", "Remove the value that the app saved.", lambda _, rest: _like(described.known_keys(), rest)),
    Word("step", "NUMBER, next or all", "Train this step, the next one, or all.", lambda known, _: known.steps),
    Word("theme", "NAME", "Use a theme from now on.", lambda known, _: known.themes),
    Word("note", "TEXT", "Write an observation on the run on show."),
    Word("continue", "[WHY]", "Answer the question: train one more epoch."),
    Word("stop", "[WHY]", "Answer the question: end the step. While training: save and stop, resumable."),
    Word("next", "learning_rate=… or batch=…", "At the question: choose it for the next step only.", _next),
    Word("rule", "", "At the question: let the rule decide from now on."),
    Word("best", "", "At the question: end the step; its result is the best epoch."),
    Word("run", "ID", "Show a run in the monitor, as it was.", lambda known, _: known.runs),
    Word("write", "FILE", "Write the list on show to a file, as it is filtered and ordered: .csv, .tsv, .jsonl."),
    Word("go", "SCREEN", "Go to a screen.", lambda known, _: known.screens),
    Word("pane", "NUMBER", "Go straight to a pane.", lambda known, _: known.panes),
    Word("key", "ACTION KEY …", "Give an action another key; it is saved.", lambda known, _: list(known.actions)),
    Word("help", "", "Show the keys of this screen and the words."),
    Word("quit", "", "Quit; asks first while a training runs."),
)
_BY_NAME: Mapping[str, Word] = {word.name: word for word in WORDS}


def completions(text: str, known: Known) -> list[str]:
    """Return whole lines that ``text`` can become, the likeliest first."""
    name, space, rest = text.lstrip().partition(" ")
    if not space:
        names = [f"{word.name} " if word.form else word.name for word in WORDS]
        found = [word for word in names if word.startswith(name)]
        return found + [action for action in _like(list(known.actions), name) if name and action not in found]
    word = _BY_NAME.get(name)
    if word is None:
        return []
    rest = rest.lstrip()
    options = word.complete(known, rest)
    begins = [option for option in options if option.startswith(rest)]
    within = [option for option in options if option not in begins and rest and rest in option]
    return [f"{name} {option}" for option in begins + within]


def common_start(lines: Sequence[str]) -> str:
    """Return the text that all ``lines`` begin with."""
    shortest, longest = min(lines), max(lines)
    same = (at for at, (one, two) in enumerate(zip(shortest, longest, strict=False)) if one != two)
    return shortest[: next(same, min(len(shortest), len(longest)))]


def explained(text: str, known: Known) -> str:
    """Return a sentence about what is typed: what the command does, or what the setting is and takes."""
    name, _, rest = text.strip().partition(" ")
    word = _BY_NAME.get(name)
    if word is None:
        return known.actions.get(name, "") if name else "Tab completes, ↑ brings back earlier lines, Esc closes."
    if name in ("set", "unset") and rest:
        full = full_name(rest.partition("=")[0].strip(), lora=known.lora)
        if full is not None:
            doc, allowed = described.describe(*full.split(".", 1))
            return f"{full}, now {known.values.get(full, '')}: {doc} Takes {allowed}."
    return f"{word.name} {word.form}: {word.help}" if word.form else word.help


def full_name(name: str, *, lora: bool) -> str | None:
    """Return "training.learning_rate" for "learning_rate", None where no or several settings are called so.

    The learning rate is that of what is trained: of the adapters where ``lora`` is on.
    """
    keys = described.known_keys()
    if name in keys:
        return name
    found = [key for key in keys if key.partition(".")[2] == name]
    if name == "learning_rate":
        return "lora.learning_rate" if lora else "training.learning_rate"
    return found[0] if len(found) == 1 else None


def setting_named(name: str, *, lora: bool) -> str:
    """Return the full name of a setting; raises ``SettingsProblem`` that names the nearest ones."""
    full = full_name(name, lora=lora)
    if full is not None:
        return full
    keys = described.known_keys()
    several = [key for key in keys if key.partition(".")[2] == name]
    if several:
        raise SettingsProblem(f"{name} is the name of several settings.", cure=f"Write {' or '.join(several)}.")
    near = described.meant_setting(name)
    cure = "Tab shows all." if near is None else f"Did you mean {near}?"
    raise SettingsProblem(f"there is no setting {clean_line(name) or 'without a name'}.", cure=cure)


def unknown_command(name: str, known: Known) -> str:
    """Return a sentence about a word that is no command."""
    cure = did_you_mean(name, [*_BY_NAME, *known.actions], "Tab shows all.")
    return f"There is no command {clean_line(name)}. {cure}"
