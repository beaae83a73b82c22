"""Read which settings are compared and with which values; wrong names and values are told before anything starts."""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec

from opeddev_tui.config.described import known_keys, meant_setting
from opeddev_tui.config.loading import LoadedSettings, load
from opeddev_tui.config.settings import RUN_SECTIONS, Settings
from opeddev_tui.errors import Problem, Problems, SettingsProblem

MOST_SETTINGS = 64
# probe prompts change neither what is trained nor what is compared
_SECTIONS = tuple(name for name in RUN_SECTIONS if name != "generation")
# what these change is what is trained or measured, so that the figures of two values could not be compared
_OTHER_MEASURE = (
    *("model.name", "model.revision", "data.max_length", "data.max_line_bytes", "data.max_depth", "data.columns"),
    *("data.near_duplicate", "grading.completion_template", "grading.minimum", "grading.maximum", "grading.grades"),
    *("grading.pattern", "grading.area_pattern", "grading.mode", "grading.step_head", "grading.evaluate"),
    "grading.steady",
    *("early_stop.metric", "early_stop.policy", "early_stop.decision_timeout_minutes", "early_stop.confidence"),
    *("training.torch_num_threads", "training.save_total_limit", "training.logging_steps", "training.start_from"),
    "training.arguments",
)


def searchable() -> list[str]:
    """Return the settings that can be compared."""
    return [name for name in known_keys() if name.partition(".")[0] in _SECTIONS and name not in _OTHER_MEASURE]


def read_grid(
    root: Path, words: Sequence[str], overrides: Sequence[str], *, from_parent: bool
) -> tuple[tuple[str, ...], ...]:
    """Return every combination of the values in ``words`` (KEY=VALUE,VALUE …), each as overrides for ``--set``.

    ``from_parent``: the step starts from a checkpoint. Raises ``Problems`` with all that is wrong.
    """
    problems: list[Problem] = []
    columns: list[list[str]] = []
    lora = load(root, overrides=overrides).settings.lora.enabled or any(
        word.partition("=")[0].strip() == "lora.enabled" for word in words
    )
    for word in words:
        try:
            columns.append(_column(word, lora=lora, from_parent=from_parent))
        except Problem as problem:
            problems.append(problem)
    names = [column[0].partition("=")[0] for column in columns]
    problems += [
        SettingsProblem(f"{name} is given twice.", where="tune", cure="Give all its values once: KEY=A,B,C.")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if problems:
        raise Problems(problems)
    grid = tuple(itertools.product(*columns))
    if not 2 <= len(grid) <= MOST_SETTINGS:
        raise SettingsProblem(
            f"these are {len(grid)} settings to compare.", where="tune", cure=f"Give 2 to {MOST_SETTINGS} of them."
        )
    _check_values(root, grid, overrides)
    return grid


def _column(word: str, *, lora: bool, from_parent: bool) -> list[str]:
    """Return the overrides of one word: one for each of its values."""
    name, equals, raw = word.partition("=")
    values = [value.strip() for value in raw.split(",") if value.strip()]
    if not equals or not values:
        raise SettingsProblem(f"{word!r} gives no values.", where="tune", cure="Write learning_rate=1e-5,2e-5.")
    key = full_name(name.strip(), lora=lora, from_parent=from_parent)
    _refuse_without_effect(key, lora=lora, from_parent=from_parent)
    if len(set(values)) != len(values):
        raise SettingsProblem(f"{word!r} gives a value twice.", where="tune", cure="Give each value once.")
    return [f"{key}={value}" for value in values]


def full_name(name: str, *, lora: bool, from_parent: bool) -> str:
    """Return the setting that ``name`` means: its full name, or its last part where that is clear.

    ``learning_rate`` is the one that the step trains with. Raises ``SettingsProblem`` with the nearest valid name.
    """
    if name == "learning_rate":
        return "lora.learning_rate" if lora else f"training.{'resume_' if from_parent else ''}learning_rate"
    if name in _OTHER_MEASURE or (name in known_keys() and name not in searchable()):
        raise SettingsProblem(
            f"{name} cannot be compared in this way.",
            where="tune",
            cure="It changes what is measured, or nothing that is trained. Train a workspace for each value instead.",
        )
    if name in searchable():
        return name
    by_key: dict[str, list[str]] = {}
    for known in searchable():
        by_key.setdefault(known.partition(".")[2], []).append(known)
    meant = by_key.get(name, [])
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise SettingsProblem(f"{name} may be {' or '.join(meant)}.", where="tune", cure="Write the full name.")
    near = meant_setting(name, searchable())
    cure = "docs/settings.md has all of them." if near is None else f"Did you mean {near}?"
    raise SettingsProblem(f"unknown setting {name}.", where="tune", cure=cure)


def _refuse_without_effect(key: str, *, lora: bool, from_parent: bool) -> None:
    """Raise ``SettingsProblem`` for a setting that this step does not train with."""
    if key.startswith("lora.") and key != "lora.enabled" and not lora:
        raise SettingsProblem(
            f"{key} changes nothing while lora.enabled is false.", where="tune", cure="Add --set lora.enabled=true."
        )
    used = "lora.learning_rate" if lora else f"training.{'resume_' if from_parent else ''}learning_rate"
    if key in ("training.learning_rate", "training.resume_learning_rate") and key != used:
        raise SettingsProblem(
            f"{key} is not the learning rate that this step trains with.", where="tune", cure=f"That is {used}."
        )


def _check_values(root: Path, grid: Sequence[Sequence[str]], overrides: Sequence[str]) -> None:
    """Raise ``Problems`` for values that are not allowed, and for two that mean the same."""
    problems: dict[str, Problem] = {}
    seen: list[Settings] = []
    for setting in grid:
        try:
            settings = load(root, overrides=[*overrides, *setting]).settings
        except Problems as found:
            problems |= {str(problem): problem for problem in found.problems}
            continue
        if settings in seen:
            same = SettingsProblem(f"{' '.join(setting)} is there twice.", where="tune", cure="Give each value once.")
            problems[str(same)] = same
        seen.append(settings)
    if problems:
        raise Problems(list(problems.values()))


def settings_digest(settings: Settings) -> str:
    """Return the SHA-256 of the settings that change what is trained or measured."""
    tables = {name: msgspec.to_builtins(getattr(settings, name)) for name in _SECTIONS}
    return hashlib.sha256(msgspec.json.encode(tables, order="sorted")).hexdigest()


def values_of(loaded: LoadedSettings, setting: Sequence[str]) -> dict[str, object]:
    """Return the values of the compared settings as ``loaded`` has them, by full name."""
    names = [item.partition("=")[0].partition(".") for item in setting]
    return {f"{section}.{key}": getattr(getattr(loaded.settings, section), key) for section, _, key in names}
