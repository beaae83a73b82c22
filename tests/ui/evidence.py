# ruff: noqa: E501 - texts and events read better in one line
"""Builds journals with generations, grades and ratings, and exports pictures of the screens that show them.

``python tests/ui/evidence.py OUT`` writes an SVG for each screen and size.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from scenes import BATCHES, SIZES, decided, epoch_events, opened, opening, question, run_id, trained, until, write
from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.workspace.paths import Workspace

CODE = """<section class="cards">
  <style>.cards { display: flex; gap: 1rem; justify-content: center; }</style>
  <article class="card" onclick="open(1)">One</article>
  <article class="card">Two</article>
</section>
<script>
  // opens the card
  function open(id) { document.getElementById(id).hidden = false; }
</script>"""
KINDS = ("html", "css", "js", "html", "jsx", "css")
WRITTEN = (
    "Grade: 2\nFeedback: The layout is centred but the cards do not wrap, and the click handler is not reachable by keyboard.",
    'Grade: 3\nFeedback: The layout is centred and the cards have a gap, but they do not wrap; use a button so that it is reachable by keyboard:\n```html\n<button type="button">One</button>\n```',
)


def sample(number: int, text: str, grade: int | None) -> ev.Sample:
    return ev.Sample(
        prompt=f"Task: Centre the cards of section {number}.\n\nRubric: layout, semantics, keyboard\n\nSubmission:\n{CODE}",
        reference="Grade: 3\nFeedback: Centred and spaced; cards do not wrap. Use buttons, not click handlers on articles.",
        text=text, id=f"holdout-{number:03}", kind=KINDS[number % 6], grade=grade, reference_grade=3,
    )  # fmt: skip


def samples(
    epoch: float, at: float, *, step: int = 1, on_demand: bool = False, fingerprint: str = ""
) -> ev.SamplesGenerated:
    later = epoch >= 2
    made = [sample(number, WRITTEN[later] + f" ({number}, epoch {epoch:g})", 3 if later else 2) for number in range(4)]
    made.append(
        ev.Sample(
            prompt="What is a flexbox?", reference="", text=f"A box. Epoch {epoch:g}.", id="own 1", kind="own", own=True
        )
    )
    return ev.SamplesGenerated(
        at=at, epoch=epoch, global_step=int(epoch * 50), fingerprint=fingerprint or f"{step}{epoch:g}a1b2c3d4e5f6",
        samples=tuple(made), on_demand=on_demand,
    )  # fmt: skip


def grades(epoch: int, at: float, rows: int = 50) -> ev.GradesMeasured:
    draw = random.Random(epoch)
    reference = tuple(1 + number % 5 for number in range(rows))
    off = 2 if epoch == 0 else 1
    predicted = tuple(
        None if draw.random() < 0.06 else max(1, min(5, wanted + draw.randint(-off, off))) for wanted in reference
    )
    return ev.GradesMeasured(
        at=at, epoch=epoch, predicted=predicted, reference=reference, parsed=0.94, exact=0.3 + 0.05 * epoch,
        within_one=0.6 + 0.08 * epoch, mean_absolute_error=1.2 - 0.2 * epoch, kappa=0.1 + 0.15 * epoch,
        kappa_interval=(0.02 + 0.15 * epoch, 0.2 + 0.15 * epoch), majority_exact=0.28, middle_within_one=0.6,
        n_grams={"exact": Figure(0.41), "within_one": Figure(0.58), "kappa": Figure(0.2), "mae": Figure(0.9)},
        seconds=3.2, ids=tuple(f"holdout-{number:03}" for number in range(rows)),
    )  # fmt: skip


def _with_evidence(events: list[ev.AnyEvent], step: int) -> list[ev.AnyEvent]:
    """Put this module's generations and grades in the place of the plain ones."""
    result: list[ev.AnyEvent] = []
    for event in events:
        if isinstance(event, ev.RunStarted) and step:
            event = ev.RunStarted(
                **{name: getattr(event, name) for name in event.__struct_fields__}
                | {"parent": "/store/run/checkpoint-150"}
            )
        if isinstance(event, ev.SamplesGenerated):
            print_of_parent = "03a1b2c3d4e5f6" if step and event.epoch == 0 else ""
            event = samples(event.epoch, event.at, step=step, on_demand=event.on_demand, fingerprint=print_of_parent)
        if isinstance(event, ev.GradesMeasured):
            event = grades(event.epoch, event.at)
        result.append(event)
    return result


def awaiting(at: float) -> list[ev.AnyEvent]:
    """Step 1 at the question after epoch 3, with a generation that was asked for."""
    events = [*opening(1, at)]
    for epoch in (1, 2, 3):
        events += [*epoch_events(epoch, at), *([question(epoch, at), decided(epoch, at)] if epoch < 3 else [])]
        if epoch == 1:
            events += [samples(1.24, at, on_demand=True)]
    return [*_with_evidence(events[:], 1), question(3, at)]


def finished(at: float) -> list[ev.AnyEvent]:
    return _with_evidence(trained(1, at), 1)


def rated(prompt: int, preferred: ev.Preference, *, seed: int = 7, epoch: int = 3) -> ev.Rated:
    from opeddev_tui.runs.ratings import sides

    left, right = sides(seed, prompt)
    return ev.Rated(epoch=epoch, prompt=prompt, left=left, right=right, preferred=preferred, round_seed=seed)


def make(
    folder: Path,
    script: Callable[[float], list[ev.AnyEvent]],
    *,
    guard_ms: int = 0,
    theme: str = "opeddev-dark",
    undo_seconds: float = 60.0,
) -> OpeddevApp:
    """Return an app on a workspace with step 0 trained and the run of ``script``."""
    layer = {
        "ui": {"guard_ms": guard_ms, "theme": theme, "undo_seconds": undo_seconds},
        "paths": {"model_store": str(folder / "store")},
    }
    loaded = loading.resolve([loading.Layer("test", layer)])
    (folder / "config.toml").touch()
    workspace = Workspace(folder, loaded.settings.paths)
    now = time.time()
    write(workspace, run_id(0), _with_evidence(trained(0, now - 7200), 0))
    write(workspace, run_id(1), script(now))
    return OpeddevApp(folder, loaded)


@asynccontextmanager
async def showing(
    app: OpeddevApp, size: tuple[int, int] = (120, 40), keys: tuple[str, ...] = ("2",)
) -> AsyncIterator[Pilot[str]]:
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await until(pilot, lambda: len(app.session.rows) == 2)
        while len(app.screen_stack) > 1:  # what the app says about a run that died
            await pilot.press("escape")
            await pilot.pause()
        app.session.scan = Scan(BATCHES)
        app.show_now()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause()
        yield pilot


def notices(app: OpeddevApp) -> str:
    """Return what the app has told."""
    return "\n".join([*(notice.message for notice in app._notifications), app.session.view().told])


PICTURES: dict[str, tuple[Callable[[float], list[ev.AnyEvent]], tuple[str, ...]]] = {
    "generations": (awaiting, ("2",)),
    "generations-same": (awaiting, ("2", "{", "[", "[", "[", "[")),
    "generations-own": (awaiting, ("2", "p", "0")),
    "generations-grown": (awaiting, ("2", "enter")),
    "generations-none": (lambda at: [next(iter(opening(1, at)))], ("2",)),
    "blind": (finished, ("2", "b")),
    "blind-rated": (finished, ("2", "b", "1", "2", "3", "4", "1")),
    "blind-over": (finished, ("2", "b", "1", "2", "3", "4", "1", "enter")),
    "grades": (finished, ("2", "m")),
    "grades-wrong": (finished, ("2", "m", "f", "f", "f", "[")),
    "note": (finished, ("2", "o", "T", "h", "e", "space", "l", "o", "s", "s")),
}


async def picture(name: str, size: tuple[int, int], out: Path, theme: str) -> None:
    script, keys = PICTURES[name]
    with tempfile.TemporaryDirectory() as folder:
        app = make(Path(folder), script, theme=theme)
        async with showing(app, size, keys) as pilot:
            await pilot.pause(0.2)
            svg = app.export_screenshot(title="opeddev-tui", simplify=True)
            svg = svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')
            (out / f"{name}-{size[0]}x{size[1]}.svg").write_text(svg)


async def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    theme = sys.argv[3] if len(sys.argv) > 3 else "opeddev-dark"
    for name in sys.argv[2].split(",") if len(sys.argv) > 2 and sys.argv[2] else PICTURES:
        for size in SIZES:
            await picture(name, size, out, theme)


if __name__ == "__main__":
    asyncio.run(main())
