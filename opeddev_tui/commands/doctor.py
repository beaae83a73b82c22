"""``doctor``: print versions, devices, free disk space, which precision training will use and why, and own keys."""

import argparse
import os
from pathlib import Path

import psutil
from rich.table import Table
from rich.text import Text

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.files import free_space, nearest_existing
from opeddev_tui.format import size
from opeddev_tui.runs import manifest
from opeddev_tui.ui.keymap import keymap_of
from opeddev_tui.ui.keys import written
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Print what was found on this machine."""
    workspace, loaded = open_workspace(options)
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in [*_machine(loaded.settings.model.precision), *_disks(workspace)]:
        table.add_row(Text(name, style="bold"), Text(value))
    table.add_row("", "")
    for name, value in manifest.versions().items():
        table.add_row(Text(name, style="bold"), Text(value))
    own = keymap_of(loaded.keys).own
    if own:
        table.add_row("", "")
    for action, keys in own.items():
        table.add_row(Text(f"key {action}", style="bold"), Text(" ".join(written(key) for key in keys)))
    CleanConsole().print(table)
    return 0


def _machine(precision: str) -> list[tuple[str, str]]:
    import torch

    from opeddev_tui.models.precision import resolve_precision

    rows = [("processor", f"{os.cpu_count()} cores, {size(psutil.virtual_memory().total)} of memory")]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        rows.append((f"GPU {index}", f"{name}, {size(free)} of {size(total)} free"))
    if not torch.cuda.is_available():
        rows.append(("GPU", "none: training runs on the CPU"))
    chosen = resolve_precision(precision)
    rows.append(("precision", f"{chosen.name} (setting: {precision}): {chosen.reason}"))
    return rows


def _disks(workspace: Workspace) -> list[tuple[str, str]]:
    store = workspace.path(workspace.paths.model_store)
    return [("workspace", _space(workspace.root)), ("model store", _space(store))]


def _space(path: Path) -> str:
    existing = nearest_existing(path)
    writable = "" if os.access(existing, os.W_OK) else ", NOT WRITABLE"
    note = "" if existing == path else " (not made yet)"
    return f"{path}{note}: {size(free_space(path))} free{writable}"
