"""``checkpoints export``: write the folder, say what it is, and compare its grades with the app's."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.exporting.folder import Exported
    from opeddev_tui.exporting.verify import Verified

# of the rows that are graded otherwise, so many are named
_MOST_NAMED = 5


def carry_out(
    console: CleanConsole, workspace: Workspace, entry: Entry, settings: Settings, options: argparse.Namespace
) -> int:
    """Export ``entry`` as ``options`` say and return the exit code: 1 where it grades otherwise than the app."""
    if options.adapter and options.merge:
        raise SettingsProblem(
            "--adapter and --merge exclude each other.", where="checkpoints export", cure="Leave one of them out."
        )
    from opeddev_tui.exporting.folder import Form, commands, export, told
    from opeddev_tui.exporting.ways import WAYS

    target = options.target.expanduser().absolute()
    adapter = True if options.adapter else False if options.merge else None
    form = Form(adapter, options.dtype or "", way if (way := options.way or "") in WAYS else way.replace("-", " "))
    with console.status(f"exporting {entry.name}"):
        exported = export(workspace, entry, settings, target, form)
    for line in told(entry, exported):
        console.say(clean_line(line), soft_wrap=True)
    for line in commands(workspace.root, entry, exported):
        # to be copied: in one line
        console.print(line, soft_wrap=True)
    return verified(console, workspace, entry, settings, exported) if options.verify else 0


def verified(
    console: CleanConsole, workspace: Workspace, entry: Entry, settings: Settings, exported: "Exported"
) -> int:
    """Grade the hold-out with the export and with the app, say how they agree, and return the exit code."""
    from opeddev_tui.exporting.verify import verify

    with console.status("grading the hold-out in a fresh process, and here"):
        found = verify(workspace, entry, settings, exported)
    for line in lines_of(found, exported):
        console.say(clean_line(line), soft_wrap=True)
    return 1 if found.different and must_be_equal(exported) else 0


def must_be_equal(exported: "Exported") -> bool:
    """True where what grades is stored exactly: in float32, or a base model that is not in the folder, or n-grams."""
    return exported.dtype == "fp32" or (exported.way is not None and exported.way.model in ("base", "n_grams"))


def lines_of(found: "Verified", exported: "Exported") -> Iterator[str]:
    """Yield what a comparison found, a sentence each."""
    yield f"{found.equal} of {found.rows} grades equal."
    if found.largest is not None:
        yield f"Largest difference of a probability: {found.largest:.2g}."
    if found.different:
        more = f" and {len(found.different) - _MOST_NAMED} more" if len(found.different) > _MOST_NAMED else ""
        cause = "" if must_be_equal(exported) else f" Weights stored as {exported.dtype} are rounded."
        yield f"Graded otherwise: {', '.join(found.different[:_MOST_NAMED])}{more}.{cause}"
    if found.recorded is not None:
        yield f"The training recorded {found.recorded} of the export's {found.rows} grades."
