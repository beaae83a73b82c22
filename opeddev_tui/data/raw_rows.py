"""Rows as they stand in a file, and all that was found while reading one."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from opeddev_tui.errors import DataProblem


class RawRow(Struct, frozen=True):
    """One row as it stands in a file; ``where`` is file:line, or file and row number."""

    fields: dict[str, Any]
    where: str


class FileRows(Struct):
    """The rows of a file, everything that is wrong in it, and what was passed over."""

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
