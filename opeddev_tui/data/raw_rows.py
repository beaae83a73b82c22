"""Rows as they are written in a file, and the result of reading one file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from opeddev_tui.errors import DataProblem


def bad(where: Path | str, message: str, cure: str) -> DataProblem:
    """Return a problem with its place and cure."""
    return DataProblem(message, where=str(where), cure=cure)


class RawRow(Struct, frozen=True):
    """One row as it is written; ``where`` is file:line, or file and row number."""

    fields: dict[str, Any]
    where: str

    def bad(self, message: str, cure: str) -> DataProblem:
        """Return a problem of this row."""
        return bad(self.where, message, cure)


class FileRows(Struct):
    """The rows of a file, all problems in it, and notes on what was not read."""

    rows: list[RawRow] = field(default_factory=list)
    problems: list[DataProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self, read: Callable[[], RawRow | None]) -> None:
        """Add the row that ``read`` returns, or the problem that it raises."""
        try:
            if (row := read()) is not None:
                self.rows.append(row)
        except DataProblem as problem:
            self.problems.append(problem)
