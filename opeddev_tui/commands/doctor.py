"""``doctor``: print versions, devices, free disk space, which precision training will use and why, and own keys."""

import argparse
import os
import platform
import socket
from pathlib import Path

import psutil
from rich.table import Table
from rich.text import Text

from opeddev_tui.commands.options import add_workspace, open_folder
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.files import free_space, nearest_existing
from opeddev_tui.format import size
from opeddev_tui.ranks.group import interface_to
from opeddev_tui.runs import manifest
from opeddev_tui.ui.keymap import keymap_of
from opeddev_tui.ui.keys import written
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Print what was found on this machine."""
    workspace, loaded = open_folder(options)
    table = Table(show_header=False, box=None, padding=(0, 2))
    rows = [*_machine(loaded.settings.model.precision), *_processes(loaded.settings.training.num_processes)]
    for name, value in [*rows, *_disks(workspace)]:
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


def _processes(setting: int) -> list[tuple[str, str]]:
    """Return how many processes would train together, and whether other machines could find this one."""
    import torch

    gpus = torch.cuda.device_count()
    count = setting or max(1, gpus)
    words = f"{count} (training.num_processes = {setting})"
    if gpus > count:
        words += f"; 0 trains with all {gpus} GPUs where each holds the model, --seeds trains one run on each"
    return [("processes", words), ("as rank 0", _found_by_others(platform.node()))]


def _found_by_others(host: str) -> str:
    """Return how other machines would reach this one, which the launchers' first machine must be reached by."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return f"no address belongs to {host}: for several machines give the launcher one that they reach (MASTER_ADDR)"
    if address.startswith("127."):
        return (
            f"{host} is {address} here, which is each machine itself: for several machines give the launcher an "
            "address that they reach (MASTER_ADDR)"
        )
    name = interface_to(address)
    return f"{host} is {address}{f' ({name})' if name else ''}; for several machines see docs/scaling.md"


def _disks(workspace: Workspace) -> list[tuple[str, str]]:
    store = workspace.path(workspace.paths.model_store)
    return [("workspace", _space(workspace.root)), ("model store", _space(store))]


def _space(path: Path) -> str:
    existing = nearest_existing(path)
    writable = "" if os.access(existing, os.W_OK) else ", NOT WRITABLE"
    note = "" if existing == path else " (not made yet)"
    return f"{path}{note}: {size(free_space(path))} free{writable}"
