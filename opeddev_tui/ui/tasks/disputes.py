"""What the newest race recorded of the training rows: those whose grade the head disputes, found again among rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from opeddev_tui.files import read_record
from opeddev_tui.workspace.paths import Workspace


class Dispute(Struct, frozen=True):
    """A disputed row as ``regrade --list --json`` names it; grades as they are written."""

    given: str
    graded: str
    surprise: float
    # empty in the file of a race
    key: str = ""
    id: str = ""
    set: str = ""
    where: str = ""


class _Report(Struct, frozen=True):
    disputed: tuple[Dispute, ...] = ()


class _RaceFile(Struct, frozen=True):
    report: _Report = _Report()


class _Placed(Protocol):
    """A row that knows where it is, and whether a person has looked at its grade again."""

    @property
    def where(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def settled(self) -> bool: ...


_Row = TypeVar("_Row", bound=_Placed)


def recorded(
    workspace: Workspace, rows: Sequence[_Row], grade_of: Callable[[_Row], str]
) -> Iterator[tuple[int, Dispute]]:
    """Yield (index, dispute) for ``rows`` that are still disputed, the most disputed first.

    A row is found by its place and id. It is left out where a person has looked at it again, and where its grade,
    ``grade_of(row)``, is not the disputed one any more.
    """
    places = {(row.where, row.id): index for index, row in enumerate(rows)}
    for item in _newest(workspace):
        index = places.get((item.where, item.id))
        if index is not None and not rows[index].settled and grade_of(rows[index]) == item.given:
            yield index, item


def _newest(workspace: Workspace) -> tuple[Dispute, ...]:
    """Return what the newest race disputes whose file can be read."""
    for run in reversed(workspace.run_ids()):
        try:
            return read_record(workspace.race_file(run), _RaceFile).report.disputed
        except (OSError, ValueError):
            continue
    return ()
