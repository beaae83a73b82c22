"""Makes workspaces with many runs that differ in settings, seeds and what they reached; exports pictures of them.

``python tests/ui/many.py OUT`` writes an SVG of the comparison at every size.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace
from scenes import PER_EPOCH, SIZES, grades, hardware, holdout, opened, samples, started, until
from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import JOURNAL_NAME
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.compare.screen import CompareScreen
from opeddev_tui.workspace.paths import Workspace

AT = 1_700_000_000.0


def name_of(number: int) -> str:
    return f"20260101-{number // 60:02d}{number % 60:02d}00-step{number % 3}-b-{number:04x}"


def events(number: int, at: float, epochs: int = 3, per_epoch: int = PER_EPOCH) -> list[ev.AnyEvent]:
    """Return what a run records whose step, seed, learning rate and adapters follow from its number."""
    rate = (1e-5, 5e-5, 2e-4)[number % 3]
    begun = started(number % 3, f"batch_100_{number % 3:02d}", at=at)
    found: list[ev.AnyEvent] = [
        replace(begun, run=name_of(number), seed=number % 5, lora=number % 2 == 0),
        ev.DataPrepared(at=at, rows=100, tokens=48_000, loss_tokens=3_100, steps_per_epoch=per_epoch,
                        total_steps=per_epoch * 5, batch_size=2, accumulation=1, learning_rate=rate),
        holdout(0, 2.9, at),
        samples(0, at),
    ]  # fmt: skip
    for step in range(1, epochs * per_epoch + 1):
        epoch = step / per_epoch
        loss = 2.7 * math.exp(-epoch / (1 + number % 4)) + 0.3 + 0.2 * math.sin(step * 12.9 + number)
        found.append(ev.Progress(at=at + step, global_step=step, epoch=epoch, loss=loss, grad_norm=1.2 + number / 50,
                                 learning_rate=rate, samples_per_second=18.0 + number % 7))  # fmt: skip
        if step % 10 == 0:
            found.append(hardware(at + step))
        if step % per_epoch == 0:
            done = step // per_epoch
            scored = 2.7 * math.exp(-done / (1 + number % 4)) + 0.5 + number / 200
            found += [holdout(done, scored, at), samples(done, at), grades(done, at)]
            found.append(ev.EpochFinished(at=at, epoch=done, train_loss=scored - 0.1, val_loss=scored,
                                          samples_per_second=18.0, global_step=step))  # fmt: skip
    if number % 4 == 3:
        return [*found, ev.RunFailed(at=at, kind="storage", message="no space left")]
    return [*found, ev.RunFinished(at=at, epochs=epochs, last_checkpoint="c", best_checkpoint="c", best_epoch=epochs,
                                   val_loss=1.0)]  # fmt: skip


def make(folder: Path, runs: int, *, theme: str = "opeddev-dark", per_epoch: int = PER_EPOCH) -> OpeddevApp:
    """Return an app on a workspace with ``runs`` finished or failed runs."""
    tables = {"ui": {"theme": theme, "guard_ms": 0}, "paths": {"model_store": str(folder / "store")}}
    loaded = loading.resolve([loading.Layer("--set", tables)])
    (folder / "config.toml").touch()
    workspace = Workspace(folder, loaded.settings.paths)
    for number in range(runs):
        place = workspace.run_folder(name_of(number))
        place.mkdir(parents=True)
        lines = [ev.encode(event) for event in events(number, AT + number, per_epoch=per_epoch)]
        (place / JOURNAL_NAME).write_bytes(b"\n".join(lines) + b"\n")
        settings = {"training": {"warmup_ratio": 0.1 * (number % 2)}, "data": {"max_length": 1024}}
        if number % 5:
            workspace.run_manifest(name_of(number)).write_text(json.dumps({"settings": settings}))
    return OpeddevApp(folder, loaded)


@asynccontextmanager
async def comparing(app: OpeddevApp, size: tuple[int, int]) -> AsyncIterator[tuple[CompareScreen, Pilot[str]]]:
    """Yield the comparison of all runs, once it is drawn."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("6")
        await until(pilot, lambda: app.current_mode == "runs" and app.screen.query("#runs"))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await until(pilot, lambda: screen.query_one("#compared").row_count)
        yield screen, pilot


def export(app: OpeddevApp, path: Path) -> None:
    """Write what is on the screen as a picture."""
    svg = app.export_screenshot(title="opeddev-tui", simplify=True)
    # librsvg leaves a no-break space at the start of a text element out
    path.write_text(svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" '))


async def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for theme in ("opeddev-dark", "opeddev-light"):
        for size in SIZES:
            for runs, keys in ((6, ("v", "left")), (6, ("a",)), (50, ("n",))):
                with tempfile.TemporaryDirectory() as folder:
                    app = make(Path(folder), runs, theme=theme)
                    async with comparing(app, size) as (_, pilot):
                        began = time.perf_counter()
                        await pilot.press(*keys)
                        await pilot.pause()
                        print(runs, keys, size, f"{time.perf_counter() - began:.2f} s")
                        name = f"compare-{runs}{'-'.join(keys)}-{size[0]}x{size[1]}-{theme}"
                        export(app, out / f"{name}.svg")


if __name__ == "__main__":
    asyncio.run(main())
