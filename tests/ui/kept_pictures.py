"""Compares what a screen shows with the picture that is kept of it as text, or keeps it (UPDATE_SNAPSHOTS=1)."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.pilot import Pilot

# so often a screen is the same before it is taken to be at rest
_SAME = 6
_SECONDS = 60.0


def check_picture(path: Path, lines: Sequence[str]) -> None:
    """Assert that ``lines`` are those kept at ``path``."""
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines(), path.stem


async def check_at_rest(pilot: Pilot[str], path: Path, lines: Callable[[], list[str]]) -> None:
    """Assert, once they do not change any more, that ``lines`` are those kept at ``path``."""
    seen: list[list[str]] = []
    end = time.monotonic() + _SECONDS
    while len(seen) <= _SAME or any(found != seen[-1] for found in seen[-_SAME:]):
        assert time.monotonic() < end, "it does not come to rest"
        # every widget has done what it was asked for
        await pilot.pause(0.01)
        seen.append(lines())
    check_picture(path, lines())
