"""Builds journals with grade readings and races, and workspaces with rows to regrade; exports pictures of them.

``python tests/ui/graded.py OUT`` writes an SVG of every part of the grading screen at every size.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scenes import SIZES, opened, run_id, trained, until, write
from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.race import Way, run_race
from opeddev_tui.grading.records import figure, recorded, way_grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import RacedWay
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.grading.screen import GradingScreen
from opeddev_tui.ui.tasks.disputes import Dispute
from opeddev_tui.workspace.paths import Workspace

FIVE = ("1", "2", "3", "4", "5")
WAYS = (
    ("step head", "the head on the step's model", "head", 0.55, 4.2),
    ("base head", "the head on the base model", "head", 1.0, 0.4),
    ("step tokens", "the grade tokens of the step's model", "tokens", 1.6, 0.0),
)


def reference(rows: int, size: int) -> Reference:
    return Reference(np.arange(rows, dtype=np.int64) * 7 % size, size)


def probabilities(right: Reference, noise: float, seed: int) -> Grades:
    """Return what a grader with so much noise says, sure of itself as it should be."""
    drawn = right.grades + np.random.default_rng(seed).normal(0, noise, len(right.grades))
    distance = np.arange(right.size)[None, :] - drawn[:, None]
    chances = np.exp(-(distance**2) / (2 * noise**2)) + 1e-4
    return Grades(chances / chances.sum(1, keepdims=True))


def readings(epoch: int, at: float, *, rows: int = 50, labels: Sequence[str] = FIVE) -> ev.GradesRead:
    scale, right = Scale(tuple(labels)), reference(rows, len(labels))
    ways = []
    for seed, (name, words, _, noise, seconds) in enumerate(WAYS):
        grades = probabilities(right, noise * len(labels) / 5, seed)
        sets = grades.probabilities > 0.08 if "head" in name else None
        ways.append(way_grades(name, words, grades, scale, right, sets=sets, seconds=seconds))
    return ev.GradesRead(
        at=at, epoch=epoch, labels=tuple(labels), ids=tuple(f"holdout-{row:03}" for row in range(rows)),
        reference=tuple(labels[place] for place in right.grades), ways=tuple(ways), seconds=0.4,
    )  # fmt: skip


def race(epoch: int, at: float, *, rows: int = 50, labels: Sequence[str] = FIVE) -> ev.RaceHeld:
    right = reference(rows, len(labels))
    ways = [
        Way(
            *(name, words, Predictions.of(probabilities(right, noise * len(labels) / 5, seed)), seconds, mode),
            tuned=name.startswith("step"),
        )
        for seed, (name, words, mode, noise, seconds) in enumerate(WAYS)
    ]
    ways.append(Way("n-grams", "the n-gram grader", Predictions.of(probabilities(right, 1.1, 9)), 0.9, cheap=True))
    common = Predictions(np.zeros(rows, dtype=np.int64))
    ways.append(Way("commonest", "the commonest grade", common, 0.0, cheap=True))
    held = run_race(ways, right)
    raced = [
        RacedWay(
            way=row.name, words=row.words, figures=recorded(row.figures), answered=row.answered, seconds=row.seconds,
            to_cheap=figure(row.to_cheap) if row.to_cheap is not None else None,
            claim="The head claims kappa 0.71 of itself; the hold-out bears it out." if row.name == "step head" else "",
        )
        for row in held.rows
    ]  # fmt: skip
    return ev.RaceHeld(
        at=at, epoch=epoch, rows=200, holdout_rows=rows, ways=tuple(raced), chosen=held.chosen, verdict=held.verdict,
        tuning=held.tuning, labels=tuple(labels), seconds=8.3, checkpoint="run/checkpoint-150",
    )  # fmt: skip


def raced_step(step: int, at: float, *, labels: Sequence[str] = FIVE, held: bool = True) -> list[ev.AnyEvent]:
    """Return a trained step whose grades were read after every epoch, with its race where one was held."""
    *events, end = trained(step, at)
    found: list[ev.AnyEvent] = []
    for event in events:
        found.append(event)
        if isinstance(event, ev.EpochFinished):
            found.append(readings(event.epoch, at, labels=labels))
    return [*found, *([race(3, at, labels=labels)] if held else []), end]


def rows(count: int, prefix: str, labels: Sequence[str] = FIVE) -> str:
    made = [
        {"id": f"{prefix}-{number:03}", "kind": ("html", "css", "js")[number % 3], "task": f"Make page {number}.",
         "submission": f"<main>\n  <h1>Page {number} of {prefix}</h1>\n</main>", "rubric": "layout, semantics",
         "grade": labels[number % len(labels)] if labels is not FIVE else 1 + number % 5,
         "feedback": f"Feedback on {prefix} {number}."}
        for number in range(count)
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in made)


def workspace(folder: Path, *, labels: Sequence[str] = FIVE) -> None:
    """Write a base set, a batch and a hold-out."""
    for place, prefix in (
        ("processed_webdev_coding", "base"),
        ("incremental/batch_100_01", "batch1"),
        ("holdout_webdev_coding", "holdout"),
    ):
        path = folder / "datasets" / place / "rows.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows(10, prefix, labels))


def make(
    folder: Path,
    runs: Sequence[Sequence[ev.AnyEvent]],
    *,
    theme: str = "opeddev-dark",
    labels: Sequence[str] = FIVE,
    read_only: bool = False,
    grade: Mapping[str, object] = MappingProxyType({}),
) -> OpeddevApp:
    """Return an app on a workspace with rows and the journals of ``runs``, the oldest first; ``grade`` are settings."""
    grading = {} if labels is FIVE else {"grades": list(labels)}
    tables = {"ui": {"theme": theme, "guard_ms": 0}, "paths": {"model_store": str(folder / "store")},
              "grade": dict(grade)}  # fmt: skip
    loaded = loading.resolve([loading.Layer("--set", tables | ({"grading": grading} if grading else {}))])
    (folder / "config.toml").touch()
    workspace(folder, labels=labels)
    for number, events in enumerate(runs):
        write(Workspace(folder, loaded.settings.paths), run_id(number), list(events))
    return OpeddevApp(folder, loaded, read_only=read_only)


@asynccontextmanager
async def grading(
    app: OpeddevApp, size: tuple[int, int], keys: Sequence[str] = ()
) -> AsyncIterator[tuple[GradingScreen, Pilot[str]]]:
    """Show the grading screen once its rows are read, and press ``keys``."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("7")
        screen = app.screen
        assert isinstance(screen, GradingScreen)
        await until(pilot, lambda: screen.corrections.rows is not None)
        await until(pilot, lambda: screen.trust_is_there)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        yield screen, pilot


def disputes(screen: GradingScreen, count: int = 6) -> tuple[Dispute, ...]:
    """Return disputes of the first training rows, as another process would list them."""
    found = screen.corrections.rows
    assert found is not None
    train = [row for row in found.rows.values() if row.set != "hold-out"][:count]
    return tuple(
        Dispute(
            key=row.key,
            given=row.now,
            graded=FIVE[-1 - at % 5],
            surprise=3.2 - at / 3,
            id=row.id,
            set=row.set,
            where=row.where,
        )
        for at, row in enumerate(train)
    )


async def _pictures(out: Path) -> None:
    now = time.time()
    for size in SIZES:
        for part, keys in (
            ("race", ()),
            ("trust", ("tab", "x")),
            ("disputed", ("shift+tab",)),
            ("row", ("shift+tab",)),
        ):
            with tempfile.TemporaryDirectory() as folder:
                app = make(Path(folder), [raced_step(0, now - 7200), raced_step(1, now)])
                async with grading(app, size, keys) as (screen, pilot):
                    screen.corrections.take_disputed(disputes(screen))
                    await until(pilot, lambda screen=screen: screen.trust_is_there)
                    if part == "row":
                        await pilot.press("enter")
                    await pilot.pause()
                    await pilot.pause()
                    svg = app.export_screenshot(title="opeddev-tui", simplify=True)
                    svg = svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')
                    (out / f"grading-{part}-{size[0]}x{size[1]}.svg").write_text(svg)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(_pictures(target))
