"""Compares what a screen shows with the picture that is kept of it as text, or keeps it (UPDATE_SNAPSHOTS=1)."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from scenes import until
from textual.pilot import Pilot

# so often a screen is the same before it is taken to be at rest
_SAME = 6


def check_picture(path: Path, lines: Sequence[str]) -> None:
    """Assert that ``lines`` are those kept at ``path``."""
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines(), path.stem


async def check_at_rest(pilot: Pilot[str], path: Path, lines: Callable[[], list[str]]) -> None:
    """Assert, once they do not change any more, that ``lines`` are those kept at ``path``."""
    seen: list[list[str]] = []

    def at_rest() -> bool:
        seen.append(lines())
        return len(seen) > _SAME and all(found == seen[-1] for found in seen[-_SAME:])

    await until(pilot, at_rest)
    check_picture(path, lines())
