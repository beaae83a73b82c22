# ruff: noqa: E501 - tables of events read better in one line
"""Builds every state of the app from scripted events, and exports pictures of them.

``python tests/ui/scenes.py OUT [SCENE …]`` writes an SVG for each scene and size.
"""

from __future__ import annotations

import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from textual.pilot import Pilot

from opeddev_tui.config import loading
from opeddev_tui.data.example_row import example_row
from opeddev_tui.models.outlook import Device, Outlook
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.journal import Journal
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.recovery import RecoveryScreen
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.view import BatchRow
from opeddev_tui.workspace.paths import Workspace

SIZES = ((80, 24), (120, 40), (200, 60))
PER_EPOCH = 50
HOSTILE = "[/INST] [@click=app.quit]x[/] \x1b[c\x1b[5n\x1b]52;c;aGk=\x07 [red]r[/] \u202eevil"


def started(step: int = 1, batch: str = "batch_100_01", *, at: float, policy: str = "ask") -> ev.RunStarted:
    return ev.RunStarted(
        at=at, run=run_id(step), step=step, batch=batch, rows=100 * (step + 1), holdout_rows=50,
        holdout_fingerprint="a1b2c3d4e5f6", planned_epochs=3, max_epochs=5, seed=42, model="Qwen/Qwen3-0.6B",
        policy=policy, pid=1,
    )  # fmt: skip


def run_id(step: int) -> str:
    return f"20260101-0{step}0000-step{step}-batch-abcd"


def opening(step: int, at: float) -> Iterator[ev.AnyEvent]:
    yield started(step, "base" if step == 0 else f"batch_100_{step:02d}", at=at)
    yield ev.ModelLoaded(at=at, device="cuda:0 NVIDIA H100", precision="bf16", reason="", parameters=596_000_000,
                         trainable=596_000_000)  # fmt: skip
    yield ev.DataPrepared(at=at, rows=100, tokens=48_000, loss_tokens=3_100, steps_per_epoch=PER_EPOCH,
                          total_steps=PER_EPOCH * 5, batch_size=2, accumulation=1, learning_rate=1e-5)  # fmt: skip
    yield ev.TokensCounted(at=at, batches=tuple(
        ev.TokenStats(name=name, rows=100, tokens=48_213, loss_tokens=3_120, median=432, percentile_95=880, longest=1024)
        for name in ("base", "batch_100_01")))  # fmt: skip
    yield ev.PhaseChanged(at=at, phase="training")
    yield holdout(0, 2.9 - step * 0.2, at)
    yield ev.EpochFinished(at=at, epoch=0, train_loss=None, val_loss=2.9 - step * 0.2, samples_per_second=None,
                           global_step=0)  # fmt: skip
    yield samples(0, at)
    yield grades(0, at)


def holdout(epoch: int, loss: float, at: float) -> ev.HoldoutEvaluated:
    return ev.HoldoutEvaluated(at=at, epoch=epoch, loss=loss, sums=(loss * 30,) * 50, tokens=(30,) * 50)


def samples(epoch: int, at: float, text: str = "") -> ev.SamplesGenerated:
    def sample(number: int) -> ev.Sample:
        return ev.Sample(
            prompt=f"Task: Centre a card with flexbox.\n\nRubric: layout, semantics\n\nSubmission:\n<div class='card{number}'>\n"
            "  <style>.card { display: flex; justify-content: center; }</style>\n</div>",
            reference="Grade: 3\nFeedback: Centred in one direction only; align-items is missing.",
            text=text or (f"Grade: {min(5, 2 + epoch)}\nFeedback: " + "The layout is centred, but " * (epoch + 1)),
            id=f"row-{number}", kind="css", grade=min(5, 2 + epoch), reference_grade=3, tokens=20,
        )  # fmt: skip

    return ev.SamplesGenerated(at=at, epoch=epoch, global_step=epoch * PER_EPOCH, fingerprint=f"f{epoch}",
                               samples=tuple(sample(number) for number in range(6)))  # fmt: skip


def grades(epoch: int, at: float) -> ev.GradesMeasured:
    return ev.GradesMeasured(
        at=at, epoch=epoch, predicted=(3,) * 50, reference=(3,) * 50, parsed=0.9 + epoch * 0.02, exact=0.3 + epoch * 0.08,
        within_one=0.6 + epoch * 0.07, mean_absolute_error=1.0 - epoch * 0.1, kappa=0.1 + epoch * 0.12,
        majority_exact=0.28, middle_within_one=0.64,
        n_grams={"exact": Figure(0.41), "within_one": Figure(0.62), "kappa": Figure(0.21), "mae": Figure(0.95)},
    )  # fmt: skip


def progress(number: int, at: float) -> ev.Progress:
    noise = 0.25 * math.sin(number * 12.9898) * math.cos(number * 4.1)
    return ev.Progress(at=at, global_step=number, epoch=number / PER_EPOCH, loss=2.7 * math.exp(-number / 90) + 0.3 + noise,
                       grad_norm=1.2, learning_rate=1e-5, samples_per_second=18.4, tokens_per_second=8_900.0)  # fmt: skip


def hardware(at: float) -> ev.HardwareSampled:
    return ev.HardwareSampled(at=at, cpu_percent=23.0, ram_used=9 * 2**30, ram_total=64 * 2**30,
                              gpu_memory_used=14 * 2**30, gpu_memory_total=80 * 2**30, gpu_percent=91.0,
                              gpu_celsius=61.0)  # fmt: skip


def epoch_events(epoch: int, at: float, *, worse: bool = False) -> Iterator[ev.AnyEvent]:
    for number in range((epoch - 1) * PER_EPOCH + 1, epoch * PER_EPOCH + 1):
        yield progress(number, at)
    yield hardware(at)
    loss = 2.7 * math.exp(-epoch / 1.6) + 0.55 + (0.3 if worse else 0.0)
    yield holdout(epoch, loss, at)
    yield samples(epoch, at)
    yield grades(epoch, at)
    path = f"/store/run/checkpoint-{epoch * PER_EPOCH}"
    yield ev.CheckpointSaved(at=at, path=path, global_step=epoch * PER_EPOCH, epoch=float(epoch), size=2_384_000_000,
                             digest="d" * 64)  # fmt: skip
    yield ev.EpochFinished(at=at, epoch=epoch, train_loss=loss - 0.1, val_loss=loss, samples_per_second=18.4,
                           global_step=epoch * PER_EPOCH, checkpoint=path)  # fmt: skip


def verdict(epoch: int, choice: ev.Choice = "continue", *, limit: bool = False) -> ev.Verdict:
    return ev.Verdict(
        epoch=epoch, choice=choice, limit_reached=limit,
        reasons=("The hold-out loss fell from 1.3229 to 0.9641.",
                 "5 of 6 probe prompts were rated better than before." if choice == "continue"
                 else "The loss did not fall, and no generation was rated better."),
        loss_improved=choice == "continue", difference=0.3588 if choice == "continue" else -0.3588,
        interval=(0.30, 0.41) if choice == "continue" else (-0.41, -0.30), better=44, worse=6,
        compared_with=epoch - 1,
    )  # fmt: skip


def question(epoch: int, at: float, choice: ev.Choice = "continue", *, limit: bool = False) -> ev.DecisionAwaited:
    return ev.DecisionAwaited(at=at, epoch=epoch, verdict=verdict(epoch, choice, limit=limit), max_epochs=5)


def decided(epoch: int, at: float, choice: ev.Choice = "continue") -> ev.Decided:
    return ev.Decided(at=at, epoch=epoch, choice=choice, by="person", verdict=verdict(epoch, choice))


def trained(step: int, at: float, epochs: int = 3) -> list[ev.AnyEvent]:
    result = list(opening(step, at))
    for epoch in range(1, epochs + 1):
        result += [
            *epoch_events(epoch, at),
            question(epoch, at),
            decided(epoch, at, "stop" if epoch == epochs else "continue"),
        ]
    last = f"/store/run/checkpoint-{epochs * PER_EPOCH}"
    return [*result, ev.RunFinished(at=at, epochs=epochs, last_checkpoint=last, best_checkpoint=last, best_epoch=epochs,
                                    val_loss=0.9641)]  # fmt: skip


def training(at: float) -> list[ev.AnyEvent]:
    events = [*opening(1, at), *epoch_events(1, at), question(1, at), decided(1, at)]
    return [*events, *(progress(number, at) for number in range(PER_EPOCH + 1, PER_EPOCH + 23)), hardware(at)]


def awaiting(at: float) -> list[ev.AnyEvent]:
    events = [*opening(1, at)]
    for epoch in (1, 2, 3):
        events += [*epoch_events(epoch, at), *([question(epoch, at), decided(epoch, at)] if epoch < 3 else [])]
    return [*events, question(3, at)]


def hostile(at: float) -> list[ev.AnyEvent]:
    first = ev.RunStarted(at=at, run=run_id(1), step=1, batch=HOSTILE, rows=3, holdout_rows=2, holdout_fingerprint=HOSTILE,
                          planned_epochs=3, max_epochs=5, seed=1, model=HOSTILE, pid=1)  # fmt: skip
    bad = ev.Sample(prompt=HOSTILE, reference=HOSTILE, text=HOSTILE, id=HOSTILE, kind=HOSTILE)
    return [
        first, *list(opening(1, at))[1:], ev.ModelLoaded(at=at, device=HOSTILE, precision=HOSTILE, reason=HOSTILE,
                                                         parameters=1, trainable=1),
        *epoch_events(1, at), ev.SamplesGenerated(at=at, epoch=1, global_step=50, fingerprint=HOSTILE, samples=(bad,)),
        ev.CheckpointSaved(at=at, path=HOSTILE, global_step=50, epoch=1.0, size=1, digest=HOSTILE),
        ev.CheckpointRejected(at=at, path=HOSTILE, problem=HOSTILE), ev.Warned(at=at, message=HOSTILE),
        ev.PhaseChanged(at=at, phase=HOSTILE, detail=HOSTILE),
        ev.DecisionAwaited(at=at, epoch=1, max_epochs=5, verdict=ev.Verdict(epoch=1, choice="continue",
                                                                           limit_reached=False, reasons=(HOSTILE,))),
    ]  # fmt: skip


def ending(event: ev.AnyEvent) -> Callable[[float], list[ev.AnyEvent]]:
    return lambda at: [*training(at), event]


def nothing(_at: float) -> list[ev.AnyEvent]:
    return []


SCENES: dict[str, Callable[[float], list[ev.AnyEvent]] | None] = {
    "no-workspace": None,
    "empty": nothing,
    "ready": nothing,
    "starting": lambda at: [started(at=at), ev.PhaseChanged(at=at, phase="loading", detail="the model")],
    "training": training,
    "paused": lambda at: [*training(at), ev.Paused(at=at, global_step=72)],
    "stalled": lambda at: [*training(at - 300)],
    "awaiting": awaiting,
    "chosen": awaiting,
    "interrupted": ending(ev.Interrupted(reason="stopped by the person", checkpoint="c", global_step=72)),
    "failed": ending(ev.RunFailed(kind="storage", message="/store: cannot be written: no space left on device. "
                                  "Free some space there, or set paths.model_store to another disk.")),
    "finished": lambda at: trained(1, at),
    "hostile": hostile,
}  # fmt: skip

BATCHES = (
    BatchRow("base", 0, rows=100, grades=((1, 12), (2, 18), (3, 30), (4, 25), (5, 15))),
    BatchRow("batch_100_01", 1, rows=100, grades=((1, 20), (2, 20), (3, 20), (4, 20), (5, 20))),
    BatchRow("batch_100_02", 2, rows=100, grades=((1, 5), (2, 10), (3, 40), (4, 35), (5, 10))),
    BatchRow("batch_100_03", 3, rows=98, grades=((2, 30), (3, 38), (4, 30))),
)
NEEDED = ev.MemoryEstimated(total=17 * 2**30, free=78 * 2**30, weights=0, gradients=0, optimizer=0, activations=0,
                            trainable=596_000_000, checkpoint=0, verdict="fits")  # fmt: skip
ALIVE = frozenset({"starting", "training", "paused", "stalled", "awaiting", "chosen", "hostile"})


def make(folder: Path, name: str, *, theme: str = "opeddev-dark", guard_ms: int = 0) -> OpeddevApp:
    """Return an app whose workspace has the journals of the scene ``name``."""
    loaded = loading.resolve(
        [
            loading.Layer(
                "--set", {"ui": {"theme": theme, "guard_ms": guard_ms}, "paths": {"model_store": str(folder / "store")}}
            )
        ]
    )
    script = SCENES[name]
    if script is None:
        return OpeddevApp(folder, loaded)
    workspace = Workspace(folder, loaded.settings.paths)
    (folder / "config.toml").touch()
    now = time.time()
    events = script(now)
    if events:
        write(workspace, run_id(0), trained(0, now - 7200))
        write(workspace, run_id(1), events)
    workspace.log.parent.mkdir(parents=True, exist_ok=True)
    workspace.log.write_text(LOG)
    return OpeddevApp(folder, loaded)


LOG = "".join(f"loading shard {number} of 40\n" for number in range(40)) + (
    "FutureWarning: something will change\n"
    "Traceback (most recent call last):\n  File 'x.py', line 1\nRuntimeError: CUDA error: [/INST] \x1b[c\n"
)


def write(workspace: Workspace, run: str, events: list[ev.AnyEvent]) -> None:
    journal = Journal(workspace.run_folder(run))
    for event in events:
        journal.emit(event)
    journal.close()


async def until(pilot: Pilot[str], condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for ``condition``, letting the app work."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        # the app works meanwhile; that every widget has done so is looked at once, which takes longer than a look
        await asyncio.sleep(0.01)
        if condition():
            await pilot.pause()


async def opened(pilot: Pilot[str]) -> None:
    """Wait until the workspace is read; from then on only the test changes what is known."""
    app = pilot.app
    assert isinstance(app, OpeddevApp)
    await until(pilot, lambda: app.disk.opened)
    for group in ("watch", "follow"):
        app.workers.cancel_group(app, group)
    if isinstance(app.screen, RecoveryScreen):
        # a scene of a living run has no process behind it: to the app it died
        await pilot.press("escape")


async def settle(app: OpeddevApp, name: str) -> None:
    """Bring an opened app into the scene: what needs another process or data on disk is set here."""
    session = app.session
    if SCENES[name] is None:
        return
    if name == "empty":
        session.scan = Scan(example_row=example_row(session.loaded.settings.grading))
    else:
        session.scan = Scan(BATCHES, holdout="50 rows · a1b2c3d4e5f6")
    session.outlook = Outlook(Device("NVIDIA H100", 78 * 2**30, "bf16"), 596_000_000, NEEDED)
    if name in ALIVE:
        session.trained_by = "mine"
    if name == "chosen":
        app.show_now()
        session.decide("continue")
    app.show_now()


async def picture(
    name: str, size: tuple[int, int], theme: str, out: Path, keys: tuple[str, ...] = (), label: str = ""
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = make(Path(folder), name, theme=theme)
        async with app.run_test(size=size) as pilot:
            await opened(pilot)
            await settle(app, name)
            await pilot.press(*keys)
            await pilot.pause()
            await pilot.pause()
            svg = app.export_screenshot(title="opeddev-tui", simplify=True)
            # librsvg leaves a no-break space at the start of a text element out
            svg = svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')
            (out / f"{name}{label}-{size[0]}x{size[1]}-{theme}.svg").write_text(svg)


async def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    theme = "opeddev-dark"
    for spec in sys.argv[2:] or SCENES:
        name, _, rest = spec.partition("@")
        place, _, theme = rest.partition(":")
        keys = tuple(place.split(",")) if place else ()
        for size in SIZES:
            await picture(name, size, theme or "opeddev-dark", out, keys, f"-{place}" if place else "")


if __name__ == "__main__":
    asyncio.run(main())
