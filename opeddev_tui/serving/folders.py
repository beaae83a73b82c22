"""Submissions in files and folders: a file each, or all files of a folder together.

Links are not followed. What is no source file is left out and counted.
"""

import os
import stat
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from opeddev_tui.data.ungraded import KINDS, LIBRARY_FOLDERS
from opeddev_tui.errors import DataProblem
from opeddev_tui.files import open_file, reason_of
from opeddev_tui.serving.items import Item, Skipped, is_binary, item_of, together

# files that tools write beside the source
_MADE = (".min.js", ".min.css", ".bundle.js", ".map")
HIDDEN, LIBRARIES, OTHERS = "hidden files and folders", "folders of libraries", "files that are no source code"
BINARY, LINKS, MADE = "binary files", "links", "minified files"
_FIRST = 4096


def shown(path: str | Path) -> str:
    """Return a path as text: a name may hold bytes that are none."""
    return os.fsencode(path).decode("utf-8", "replace")


def read_start(path: Path, most: int) -> bytes:
    """Return up to ``most`` bytes of the ordinary file at ``path``; raises ``OSError``."""
    with os.fdopen(open_file(path), "rb") as file:
        return file.read(most)


def file_item(path: Path, most: int) -> Item:
    """Return the submission in the file at ``path``, or why it cannot be read."""
    try:
        content = read_start(path, most + 1)
    except OSError as error:
        return Item({}, shown(path), shown(path.name), f"it cannot be read: {reason_of(error)}.")
    return item_of(content, shown(path), most)


def is_source(name: str) -> bool:
    """Return whether a file of this name is taken for source code."""
    return os.path.splitext(name)[1].lower() in KINDS


def left_out(name: str) -> str:
    """Return why a file of this name in a folder is no submission, empty where it is one."""
    if name.startswith("."):
        return HIDDEN
    if name.lower().endswith(_MADE):
        return MADE
    return "" if is_source(name) else OTHERS


def left_out_inside(name: str) -> str:
    """Return why a file of this path in an archive or a diff is no submission, empty where it is one."""
    folders = [part for part in name.split("/")[:-1] if part]
    if any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in folders):
        return HIDDEN
    if any(part in LIBRARY_FOLDERS for part in folders):
        return f"files in {LIBRARIES}"
    return left_out(name.rpartition("/")[2])


def source_files(folder: Path, skipped: Skipped) -> Iterator[Path]:
    """Yield the source files below ``folder`` in the order of their names; only names and types are looked at."""
    # folders may lie in each other more deeply than Python may call itself
    waiting = [iter(_entries(folder, skipped))]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
        elif not entry.is_symlink() and entry.is_dir(follow_symlinks=False):
            hidden, library = entry.name.startswith("."), entry.name in LIBRARY_FOLDERS
            if hidden or library:
                skipped.add(HIDDEN if hidden else LIBRARIES)
            else:
                waiting.append(iter(_entries(entry.path, skipped)))
        elif reason := _left_out_entry(entry):
            skipped.add(reason)
        else:
            yield Path(entry.path)


def _entries(folder: str | Path, skipped: Skipped) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        skipped.add(f"folders that cannot be read: {reason_of(error)}")
        return []


def _left_out_entry(entry: os.DirEntry[str]) -> str:
    """Return why what is there is no submission, empty where it is a source file."""
    if entry.is_symlink():
        return LINKS
    if reason := left_out(entry.name):
        return reason
    try:
        return "" if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode) else "pipes, sockets and devices"
    except FileNotFoundError:
        return "files that went away meanwhile"
    except OSError:
        return ""  # why it cannot be read is said when it is


def folder_items(folder: Path, per: str, most: int, skipped: Skipped) -> Iterator[Item]:
    """Yield the submissions in ``folder``: per file, per folder directly in it, or the whole; see ``submissions``."""
    files = source_files(folder, skipped)
    if per == "file":
        for path in files:
            item = file_item(path, most)
            if item.problem and _is_binary_file(path):
                skipped.add(BINARY)
            else:
                yield item
        return
    depth = len(folder.parts)
    for group, paths in groupby(files, key=lambda path: _group(path, depth, per)):
        place = folder / group if group else folder
        parts = [(shown(path.relative_to(place)), file_item(path, most)) for path in paths]
        yield together(parts, shown(place), most)


def _group(path: Path, depth: int, per: str) -> str:
    """Return the name of the folder directly in the given one that ``path`` is in; a file there is one by itself."""
    return path.parts[depth] if per == "folder" else ""


def _is_binary_file(path: Path) -> bool:
    try:
        return is_binary(read_start(path, _FIRST))
    except OSError:
        return False


def require_there(path: Path) -> os.stat_result:
    """Return the status of ``path``; raises ``DataProblem`` where there is nothing."""
    from opeddev_tui.data.folder_files import is_folder

    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        is_folder(path)  # raises, with the nearest names
        raise
    except OSError as error:
        raise DataProblem(
            f"cannot be read: {reason_of(error)}.", where=shown(path), cure="Check the path and its permissions."
        ) from error
