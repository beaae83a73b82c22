"""What a tracker is sent of a run: its settings, its figures, its decisions. No row, no text, no path.

Everything that leaves for a tracker is made here. A person's notes, prompts, templates and the columns and places of
files stay on the machine.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from opeddev_tui.config.settings import RUN_SECTIONS
from opeddev_tui.reports.scalars import Scalar, ScalarReader
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.manifest import RunManifest

# texts that a person writes, and names from a person's files
_KEPT_HERE = frozenset(
    {
        *("data.columns", "generation.prompts", "generation.probes", "grading.system_prompt"),
        *("grading.prompt_template", "grading.completion_template", "grading.pattern", "grading.area_pattern"),
    }
)


class Fact(Struct, frozen=True):
    """Something that was decided or reached, in a few words of the program's own."""

    name: str
    text: str
    global_step: int
    at: float


class News(Struct, frozen=True):
    """New events for a tracker: figures and facts in order, and the run's status ("" where it has not changed)."""

    figures: list[Scalar]
    facts: list[Fact]
    status: str = ""


def described(start: ev.RunStarted, manifest: RunManifest | None) -> dict[str, str | int | float | bool]:
    """Return what a tracker gets of a run before its figures, flat: the run itself, settings, versions, hardware."""
    told: dict[str, str | int | float | bool] = {
        "run": start.run,
        "step": start.step,
        "batch": start.batch,
        "rows": start.rows,
        "holdout_rows": start.holdout_rows,
        "planned_epochs": start.planned_epochs,
        "seed": start.seed,
        "parent": ev.checkpoint_name(start.parent) if start.parent else "",
    }
    if manifest is None:
        return told
    for section in RUN_SECTIONS:
        for key, value in _flat(section, manifest.settings.get(section, {})):
            told[key] = value
    told |= {f"version.{name}": version for name, version in manifest.versions.items()}
    told["hardware.gpus"] = ", ".join(map(str, manifest.hardware.get("gpus") or ()))
    return told


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, str | int | float | bool]]:
    if prefix in _KEPT_HERE:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}", item)
    elif isinstance(value, list):
        yield prefix, ", ".join(_without_folders(str(item)) for item in value)
    elif isinstance(value, str):
        yield prefix, _without_folders(value)
    elif isinstance(value, int | float):
        yield prefix, value


def _without_folders(text: str) -> str:
    """Return a path's last part: folders tell who works here, and mean nothing elsewhere. Other texts stay."""
    if text.startswith(("/", "~", ".", "file:")) or "\\" in text:
        return text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return text


class NewsReader:
    """Turns events, in the order of the journal, into news for a tracker."""

    def __init__(self) -> None:
        self._scalars = ScalarReader()

    def read(self, events: Iterable[ev.AnyEvent]) -> News:
        """Return the news in ``events``."""
        figures: list[Scalar] = []
        facts: list[Fact] = []
        status = ""
        for event in events:
            figures += self._scalars.of(event)
            status = _STATUS.get(type(event), status)
            if (told := _fact(event)) is not None:
                facts.append(Fact(told[0], told[1], self._scalars.global_step, event.at))
        return News(figures, facts, status)


_STATUS: dict[type, str] = {
    ev.RunStarted: "running",
    ev.Resumed: "running",
    ev.RunFinished: "finished",
    ev.Interrupted: "interrupted",
    ev.RunFailed: "failed",
}


def _fact(event: ev.AnyEvent) -> tuple[str, str] | None:
    match event:
        case ev.Decided():
            return f"decision after epoch {event.epoch}", f"{event.choice} (by {event.by})"
        case ev.RaceHeld() if event.chosen:
            return "grades by", event.chosen
        case ev.RunFinished():
            return "best epoch", str(event.best_epoch)
    return None
