"""Compares what a screen shows with the picture that is kept of it as text, or keeps it (UPDATE_SNAPSHOTS=1)."""

import os
from collections.abc import Sequence
from pathlib import Path


def check_picture(path: Path, lines: Sequence[str]) -> None:
    """Assert that ``lines`` are those kept at ``path``."""
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines(), path.stem
