"""All rows of a place for a test, with its problems raised."""

from pathlib import Path

from opeddev_tui.config import settings
from opeddev_tui.data.formats import read_split
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.errors import Problems


def read_rows(path: Path, settings: settings.Data, *, split: str | None = None) -> list[RawRow]:
    """Return all rows at ``path``; raise the problem, or ``Problems`` if there are several."""
    files = read_split(path, settings, split=split)
    if files.problems:
        raise files.problems[0] if len(files.problems) == 1 else Problems(files.problems)
    return files.rows
