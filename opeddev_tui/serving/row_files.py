"""Submissions as rows of a data file: JSONL line by line, JSON and CSV as the data's own readers read them.

A row without a submission, or that cannot be read, is a submission that says why.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from opeddev_tui.config import settings as st
from opeddev_tui.data import columns, formats
from opeddev_tui.data.decoding import open_data
from opeddev_tui.data.folder_files import read_clearly
from opeddev_tui.data.json_wrappers import unwrapped
from opeddev_tui.data.parsing import jsonl_rows
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.errors import DataProblem
from opeddev_tui.serving.items import Item
from opeddev_tui.text import clean_line

_KNOWN = ("submission", "grade", "feedback", "kind", "id", "task", "rubric")


def row_items(path: Path, settings: st.Data) -> Iterator[Item]:
    """Yield the rows of the data file at ``path``; raises ``DataProblem`` where it is no data file at all."""
    if formats.detect_kind(path) == "jsonl":
        with read_clearly(path), open_data(path) as file:
            yield from line_items(file, path, settings)
        return
    read = formats.read_split(path, settings)
    problems = [problem for problem in read.problems if isinstance(problem, DataProblem)]
    if not read.rows and problems:
        raise problems[0]
    every: list[RawRow | DataProblem] = [*read.rows, *problems]
    yield from (_item(row, settings) for row in every)


def line_items(file: BinaryIO, path: Path, settings: st.Data) -> Iterator[Item]:
    """Yield the rows of ``file``, an object per line; one is in memory at a time.

    None waits for the next line, but a first one that would be something else if it were the only one.
    """
    rows = jsonl_rows(file, path, settings)
    first = next(rows, None)
    alone = _opened(first, path) if isinstance(first, RawRow) else []
    if len(alone) != 1 or alone[0] is not first:
        second = next(rows, None)
        if second is None and alone:
            yield from (_item(row, settings) for row in alone)
            return
        rows = chain([second] if second is not None else [], rows)
    if first is not None:
        yield _item(first, settings)
    yield from (_item(row, settings) for row in rows)


def _opened(row: RawRow, path: Path) -> Sequence[RawRow | DataProblem]:
    try:
        return unwrapped(row, path)
    except DataProblem as problem:
        return [problem]


def _item(row: RawRow | DataProblem, settings: st.Data) -> Item:
    if isinstance(row, DataProblem):
        return Item({}, row.where, problem=f"{row.message} {row.cure}".strip())
    named = columns.renamed([row], settings.columns)
    if implied := columns.implied(named[0].fields, _KNOWN):
        named = columns.renamed(named, implied)
    fields = named[0].fields
    if fields.get("submission") is None:
        has = clean_line(", ".join(map(str, fields)), max_chars=80) or "nothing"
        hint = columns.proposed({**fields, "grade": 0})
        cure = f" In config.toml, under [data]: {columns.as_setting(hint)}." if "submission" in hint else ""
        return Item({"id": fields.get("id")}, row.where, problem=f"the row has no submission, but {has}.{cure}")
    return Item(fields, row.where)
