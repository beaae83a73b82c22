"""Open a person's own editor on a text and return what it left; show a text in their own pager."""

import contextlib
import os
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
    return [*_split("editor", editor, "EDITOR"), str(path)]


def pager_command(path: Path) -> list[str]:
    """Return what shows ``path``, $PAGER or else less; raise ``SettingsProblem`` where there is no such pager."""
    return [*_split("pager", os.environ.get("PAGER") or "less", "PAGER"), str(path)]


def _split(what: str, given: str, variable: str) -> list[str]:
    try:
        import shlex  # the app opens without it

        command = shlex.split(given)
    except ValueError as error:
        raise SettingsProblem(f"the {what} {given!r} does not start: {error}.", where=variable) from None
    if not command or shutil.which(command[0]) is None:
        raise SettingsProblem(f"the {what} {given!r} is not found. Set {variable} to another one.", where=variable)
    return command


def written(path: Path) -> str:
    """Return the text of a file that was edited."""
    return path.read_text(encoding="utf-8", errors="replace")
