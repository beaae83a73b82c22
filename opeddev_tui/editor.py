"""Owns opening a person's own editor for a text."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from opeddev_tui.errors import SettingsProblem


def edit(text: str) -> str:
    """Return ``text`` as it is after the person's editor ($VISUAL, $EDITOR, else vi) was closed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="opeddev-note-") as folder:
        path = Path(folder) / "note.md"
        path.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=False)
        except (OSError, ValueError) as error:
            raise SettingsProblem(f"the editor {editor!r} does not start: {error}.", where="EDITOR") from None
        return path.read_text(encoding="utf-8", errors="replace")
