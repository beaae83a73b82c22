"""Values of a run by name, for filters and comparisons: what it is, what it was set to, what it reached. Pure.

Journals of version 0.1, and runs without a manifest, have fewer values and are never an error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from opeddev_tui.analysis.run_filter import Facts, Value
from opeddev_tui.config.described import toml_value
from opeddev_tui.config.settings import RUN_SECTIONS
from opeddev_tui.config.settings import Settings as Defaults
from opeddev_tui.format import rate
from opeddev_tui.runs.state import RunState

# these have values of their own, by short names
_SAID_ELSEWHERE = frozenset(
    {
        "lora.enabled", "training.learning_rate", "training.resume_learning_rate", "lora.learning_rate", "model.name",
        "training.seed", "training.num_train_epochs",
    }
)  # fmt: skip
# what may differ between runs, the most telling first, and what it is called where it stands in a legend
_TOLD: Mapping[str, str] = {
    "step": "step", "batch": "", "seed": "seed", "model": "", "lora": "lora", "learning_rate": "lr", "rows": "rows",
    "planned": "planned epochs",
}  # fmt: skip

# values that a run may have, with one of their kind each: a filter may name them before any run has them
KNOWN: Mapping[str, Value] = {
    "run": "", "status": "", "step": 0, "batch": "", "rows": 0, "seed": 0, "model": "", "lora": False, "planned": 0,
    "metric": "", "policy": "", "repeat": False, "learning_rate": 0.0, "batch_size": 0, "device": "", "precision": "",
    "epochs": 0, "best": 0, "loss": 0.0, "train_loss": 0.0, "exact": 0.0, "within_one": 0.0, "kappa": 0.0,
}  # fmt: skip

Settings = Mapping[str, Mapping[str, Any]]


def facts_of(run: str, state: RunState, status: str, settings: Settings) -> Facts:
    """Return everything known of a run; ``settings`` are those of its manifest, by section."""
    values: dict[str, Value] = {"run": run, "status": status}
    values |= _flat(settings) | _identity(state) | _reached(state)
    text = " ".join([run, status, *(str(values.get(name, "")) for name in ("batch", "model"))])
    return Facts(values, text, status)


def _identity(state: RunState) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if (started := state.started) is not None:
        values = {"step": started.step, "batch": started.batch, "rows": started.rows, "seed": started.seed,
                  "model": started.model, "lora": started.lora, "planned": started.planned_epochs,
                  "metric": started.metric, "policy": started.policy}  # fmt: skip
        values["repeat"] = bool(started.repeats)
    if state.data is not None:
        values["learning_rate"] = state.data.learning_rate
        values["batch_size"] = state.data.batch_size * state.data.accumulation
    if state.model is not None:
        values |= {"device": state.model.device, "precision": state.model.precision}
    return values


def _reached(state: RunState) -> dict[str, Value]:
    """Return losses and grades of the best epoch, and how far the run came."""
    values: dict[str, Value] = {"epochs": max(state.epochs, default=0)}
    best = state.best_epoch()
    if best is not None:
        row, measured = state.epochs[best], state.grades.get(best)
        values |= {"best": best, "loss": row.val_loss}
        values |= {} if row.train_loss is None else {"train_loss": row.train_loss}
        if measured is not None:
            values |= {"exact": measured.exact, "within_one": measured.within_one}
            values |= {} if measured.kappa is None else {"kappa": measured.kappa}
    return {name: value for name, value in values.items() if not (isinstance(value, float) and math.isnan(value))}


def _flat(settings: Settings) -> dict[str, Value]:
    """Return settings as "section.key", and by the key alone where only one section has it."""
    full: dict[str, Value] = {}
    for section, table in settings.items():
        for key, value in table.items() if isinstance(table, Mapping) else ():
            written = _written(value)
            if section in RUN_SECTIONS and written is not None:
                full[f"{section}.{key}"] = written
    keys = Counter(name.partition(".")[2] for name in full)
    short = {key: value for name, value in full.items() if keys[key := name.partition(".")[2]] == 1}
    return full | short


def changed(settings: Settings) -> list[tuple[str, str]]:
    """Return (name, value) of the settings of a run, as in its manifest, that are not today's defaults."""
    defaults = msgspec.to_builtins(Defaults())
    return [
        (f"{section}.{key}", toml_value(value))
        for section in RUN_SECTIONS
        for key, value in settings.get(section, {}).items()
        if value is not None and value != defaults[section].get(key)
    ]


def _written(value: Any) -> Value | None:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return float(value)
    return None if value is None else str(value)


def differences(every: Sequence[Facts]) -> list[str]:
    """Return, for each run, in words what tells it from the others: what they are and what they were set to."""
    names = [name for name in _TOLD if len({item.values.get(name) for item in every}) > 1]
    told = {*_TOLD, *_SAID_ELSEWHERE}
    settings = sorted({name for item in every for name in item.values if "." in name and name not in told})
    # a run without a manifest says nothing of its settings: that is no difference
    names += [name for name in settings if len({item.values[name] for item in every if name in item.values}) > 1]
    return [" · ".join(filter(None, (_words(item, name) for name in names))) for item in every]


def _words(facts: Facts, name: str) -> str:
    value = facts.values.get(name)
    if value is None:
        return ""
    label = _TOLD.get(name, name.partition(".")[2].replace("_", " "))
    if isinstance(value, bool):
        return label if value else f"no {label}"
    if isinstance(value, float) and name == "learning_rate":
        return f"{label} {rate(value)}"
    return f"{label} {value:g}".strip() if isinstance(value, int | float) else f"{label} {value}".strip()
