"""Open a person's own editor on a text and return what it left."""

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from opeddev_tui.errors import SettingsProblem


def edit(text: str) -> str:
    """Return ``text`` as it is after the person's editor ($VISUAL, $EDITOR, else vi) was closed."""
    with being_edited(text) as path:
        subprocess.run(editor_command(path), check=False)
        return written(path)


@contextlib.contextmanager
def being_edited(text: str) -> Iterator[Path]:
    """Keep ``text`` in a file of its own for as long as it is edited."""
    with tempfile.TemporaryDirectory(prefix="opeddev-note-") as folder:
        path = Path(folder) / "note.md"
        path.write_text(text, encoding="utf-8")
        yield path


def editor_command(path: Path) -> list[str]:
    """Return what opens ``path``; raise ``SettingsProblem`` where there is no such editor."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = shlex.split(editor)
    except ValueError as error:
        raise SettingsProblem(f"the editor {editor!r} does not start: {error}.", where="EDITOR") from None
    if not command or shutil.which(command[0]) is None:
        raise SettingsProblem(f"the editor {editor!r} is not found. Set EDITOR to another one.", where="EDITOR")
    return [*command, str(path)]


def written(path: Path) -> str:
    """Return the text of a file that was edited."""
    return path.read_text(encoding="utf-8", errors="replace")
