"""Makes workspaces with checkpoints on disk, without training: small files, published as the engine does.

``python tests/ui/store.py OUT`` writes pictures of the browser.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from scenes import BATCHES, PER_EPOCH, SIZES, opened, run_id, trained, until

from opeddev_tui import checkpoints, config, manifest
from opeddev_tui import events as ev
from opeddev_tui.journal import Journal
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.scan import Scan
from opeddev_tui.ui.screens.checkpoints import CheckpointsScreen
from opeddev_tui.workspace import Workspace

LORA_RUN = "20260102-000000-step1-lora-beef"


def settings_of(folder: Path) -> config.LoadedSettings:
    tables = {
        "ui": {"guard_ms": 0, "undo_seconds": 0.0},
        "paths": {"model_store": str(folder / "store")},
    }
    return config.resolve([config.Layer("--set", tables)])


def write_run(workspace: Workspace, run: str, step: int, *, lora: bool = False, parent: str = "") -> list[Path]:
    """Write one finished run of three epochs and its checkpoints; return their folders."""
    now = time.time() - 3600 * (5 - step)
    folders = []
    events: list[ev.AnyEvent] = []
    for event in trained(step, now):
        if isinstance(event, ev.RunStarted):
            event = msgspec.structs.replace(event, run=run, parent=parent, lora=lora)
        if isinstance(event, ev.CheckpointSaved):
            continue
        if isinstance(event, ev.EpochFinished) and event.epoch:
            folder = checkpoints.folder_for(workspace.checkpoints(run), event.epoch * PER_EPOCH)
            folders.append(publish(folder, run, step, event, lora=lora, parent=parent))
            event = msgspec.structs.replace(event, checkpoint=str(folder))
        if isinstance(event, ev.RunFinished):
            last = str(folders[-1])
            event = msgspec.structs.replace(event, last_checkpoint=last, best_checkpoint=last)
        events.append(event)
    events.insert(1, ev.MemoryEstimated(
        at=now, total=9 * 2**30, free=8 * 2**30, weights=1, gradients=1, optimizer=1, activations=1, trainable=1,
        checkpoint=7 * 2**30, verdict="will not fit", advice=("lora.enabled = true trains 0.9% of the parameters",),
    ))  # fmt: skip
    journal = Journal(workspace.run_folder(run))
    for event in events:
        journal.emit(event)
    journal.close()
    loaded = config.resolve([config.Layer("t", {"lora": {"enabled": lora}})])
    record = manifest.RunManifest(settings=msgspec.to_builtins(loaded.settings))
    workspace.run_manifest(run).write_bytes(manifest.encode(record))
    return folders


def publish(folder: Path, run: str, step: int, event: ev.EpochFinished, *, lora: bool, parent: str) -> Path:
    folder.mkdir(parents=True)
    weights = "adapter_model.safetensors" if lora else "model.safetensors"
    for name in (weights, *checkpoints.RESUME_FILES):
        (folder / name).write_bytes(f"{run} {event.epoch} {name}".encode() * (3 if lora else 40))
    checkpoints.publish(
        folder,
        checkpoints.Manifest(
            run=run, step=step, global_step=event.epoch * PER_EPOCH, epoch=float(event.epoch), parent=parent, files={},
            lora=lora, base=parent if lora else "", val_loss=event.val_loss, rows=100 * (step + 1),
        ),
    )  # fmt: skip
    return folder


def make_store(folder: Path) -> OpeddevApp:
    """Return an app on a workspace with two full steps and a LoRA branch; one checkpoint damaged, one unfinished."""
    loaded = settings_of(folder)
    workspace = Workspace(folder, loaded.settings.paths)
    (folder / "config.toml").touch()
    first = write_run(workspace, run_id(0), 0)
    write_run(workspace, run_id(1), 1, parent=str(first[-1]))
    lora = write_run(workspace, LORA_RUN, 1, lora=True, parent=str(first[-1]))
    damaged = first[0] / "optimizer.pt"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    (lora[0].parent / "checkpoint-999").mkdir()
    return OpeddevApp(folder, loaded)


async def browser(app: OpeddevApp, pilot: object) -> CheckpointsScreen:
    """Open the browser and wait until it has read the disk."""
    from textual.pilot import Pilot

    assert isinstance(pilot, Pilot)
    await opened(pilot)
    app.session.scan = Scan(BATCHES)
    await pilot.press("3")
    await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen) and app.screen.shelf is not None)
    screen = app.screen
    assert isinstance(screen, CheckpointsScreen)
    await pilot.pause()
    return screen


async def picture(out: Path, name: str, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = make_store(Path(folder))
        async with app.run_test(size=size) as pilot:
            await browser(app, pilot)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.15)
            await pilot.pause(0.3)
            svg = app.export_screenshot(title="opeddev-tui", simplify=True)
            svg = svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')
            (out / f"{name}-{size[0]}x{size[1]}.svg").write_text(svg)


async def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        await picture(out, "browser", size, ("V", "j"))
        await picture(out, "difference", size, ("space", "j", "j", "j", "j", "j", "j", "j", "j", "space"))
        await picture(out, "delete", size, ("D",))
        await picture(out, "continue", size, ("j", "enter"))


if __name__ == "__main__":
    asyncio.run(main())
