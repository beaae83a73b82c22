"""Background task that writes the list on show to a file. The folders of the person's data are never written to."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import SettingsProblem, StorageProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.ui.tasks.base import TaskBase

Value = str | int | float | bool | None
ENDINGS = (".csv", ".tsv", ".jsonl")


class Listed(Struct, frozen=True):
    """A list as it is written: a title per column, and a value per column of each row."""

    titles: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]


class ListTasks(TaskBase):
    """Writes lists in threads."""

    def write(
        self, name: str, listed: Callable[[], Listed], done: Callable[[str], None], failed: Callable[[str], None]
    ) -> None:
        """Write what ``listed`` returns to the file ``name``, a path in the workspace or an absolute one."""

        async def work() -> None:
            try:
                done(await asyncio.to_thread(partial(self._write, name, listed)))
            except (SettingsProblem, StorageProblem) as problem:
                failed(str(problem))

        self._go(work, "write list", exclusive=False)

    def _write(self, name: str, listed: Callable[[], Listed]) -> str:
        root, paths = self._shell.provider.root, self._shell.loaded.settings.paths
        path = place(root, paths, name)
        found = listed()
        write_atomic(path, content(found, path.suffix.lower()).encode())
        return f"Wrote {len(found.rows):,} rows to {path}."


def place(root: Path, paths: Paths, name: str) -> Path:
    """Return where a list is written; raises ``SettingsProblem`` for a name that cannot be, ``StorageProblem`` too."""
    # not before the first frame: it brings all that reads files
    from opeddev_tui.data.batch_paths import resolve

    path = resolve(root, name)
    if path.suffix.lower() not in ENDINGS:
        raise SettingsProblem(f"{name}: a list is written as {', '.join(ENDINGS)}.", cure="Write such an ending.")
    for folder in (paths.base, paths.increments, paths.holdout, paths.test, paths.proposals):
        data = resolve(root, folder) if folder else None
        if data is not None and path.resolve().is_relative_to(data.resolve()):
            raise SettingsProblem(f"{path}: {folder} is read as data.", cure="Write it elsewhere, such as lists/.")
    if path.exists():
        raise StorageProblem(f"{path} exists already, and nothing is replaced.", cure="Choose another name.")
    return path


def content(listed: Listed, ending: str) -> str:
    """Return a list as a file with this ending has it."""
    if ending == ".jsonl":
        lines = (json.dumps(dict(zip(listed.titles, row, strict=True)), ensure_ascii=False) for row in listed.rows)
        return "".join(f"{line}\n" for line in lines)
    import csv

    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if ending == ".tsv" else ",", lineterminator="\n")
    writer.writerow(listed.titles)
    writer.writerows(["" if value is None else value for value in row] for row in listed.rows)
    return text.getvalue()
