"""Submissions in a zip: a file each, a top folder each, or all together. Nothing is unpacked to the disk.

Sizes are counted while bytes come, whatever the archive says of itself.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from opeddev_tui.errors import DataProblem
from opeddev_tui.files import reason_of
from opeddev_tui.serving.folders import BINARY, LINKS, left_out_inside, shown
from opeddev_tui.serving.items import NO_TEXT, Item, Skipped, item_of, together

# a zip of a class's submissions is far smaller; a bomb is not
MOST_ENTRIES = 20_000
MOST_BYTES = 512 << 20
# text shrinks to a tenth or so; what shrinks to less than a two-hundredth of a megabyte and more is a trap
_TRAP_RATIO, _TRAP_FROM = 200, 1 << 20
_CURE = "Unpack it yourself if you trust it, and name the folder."


def is_zip(start: bytes) -> bool:
    """Return whether a file that begins with ``start`` is a zip."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"))


def zip_items(path: Path, per: str, most: int, skipped: Skipped) -> Iterator[Item]:
    """Yield the submissions in the zip at ``path``; ``per`` as in ``submissions``. Raises ``DataProblem``."""
    with _opened(path) as archive:
        entries = _sources(archive, skipped)
        reader = _Reader(archive, path, most)
        if per == "file":
            for entry in entries:
                item = reader.item(entry)
                if item.problem == NO_TEXT:
                    skipped.add(BINARY)
                else:
                    yield item
            return
        for group, members in groupby(entries, key=lambda entry: _group(name_of(entry), per)):
            place = f"{shown(path)}!{group}" if group else shown(path)
            parts = [(_inside(name_of(entry), group), reader.item(entry)) for entry in members]
            yield together(parts, place, most)


def count(path: Path) -> int:
    """Return how many files of a zip are graded at most; raises ``DataProblem``."""
    with _opened(path) as archive:
        return len(_sources(archive, Skipped()))


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataProblem(
            f"is not a whole zip: {str(error).rstrip('.').lower()}.", where=shown(path), cure="Pack or copy it again."
        ) from None
    except OSError as error:
        raise DataProblem(f"cannot be read: {reason_of(error)}.", where=shown(path), cure="Check the disk.") from error
    if len(archive.infolist()) > MOST_ENTRIES:
        archive.close()
        raise DataProblem(f"holds more than {MOST_ENTRIES} files.", where=shown(path), cure=_CURE)
    return archive


def _sources(archive: zipfile.ZipFile, skipped: Skipped) -> Sequence[zipfile.ZipInfo]:
    """Return the entries that are source files, by name; the others are counted."""
    found = []
    for entry in archive.infolist():
        name = name_of(entry)
        if name.endswith("/") or not name:
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            skipped.add(LINKS)
        elif reason := left_out_inside(name):
            skipped.add(reason)
        else:
            found.append(entry)
    return sorted(found, key=name_of)


def name_of(entry: zipfile.ZipInfo) -> str:
    """Return the path of an entry with slashes; some programs write the separators of Windows."""
    return entry.filename.replace("\\", "/").removeprefix("./")


def _group(name: str, per: str) -> str:
    top, slash, _ = name.partition("/")
    return top if per == "folder" and slash else name if per == "folder" else ""


def _inside(name: str, group: str) -> str:
    return name[len(group) + 1 :] if group and name.startswith(f"{group}/") else name.rpartition("/")[2] or name


class _Reader:
    """Reads entries of one archive up to a common limit."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, most: int) -> None:
        self._archive, self._path, self._most = archive, path, most
        self._read = 0

    def item(self, entry: zipfile.ZipInfo) -> Item:
        """Return the submission in ``entry``, or why it is none; raises ``DataProblem`` for a bomb."""
        name = shown(name_of(entry))
        place = f"{shown(self._path)}!{name}"
        if problem := self._refused(entry):
            return Item({}, place, name, problem)
        try:
            with self._archive.open(entry) as file:
                content = file.read(self._most + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            return Item({}, place, name, f"it is damaged in the zip: {str(error).rstrip('.').lower()}.")
        except (RuntimeError, NotImplementedError) as error:
            return Item({}, place, name, f"it cannot be unpacked: {str(error).rstrip('.').lower()}.")
        self._read += len(content)
        if self._read > MOST_BYTES:
            raise DataProblem(f"unpacks to more than {MOST_BYTES >> 20} MiB.", where=shown(self._path), cure=_CURE)
        return item_of(content, place, self._most)

    @staticmethod
    def _refused(entry: zipfile.ZipInfo) -> str:
        parts = name_of(entry).split("/")
        if ".." in parts or not parts[0] or parts[0].endswith(":"):
            return "its name leads out of the zip."
        if entry.flag_bits & 0x1:
            return "it is encrypted: unpack it with its password, and name the folder."
        if entry.file_size > _TRAP_FROM and entry.file_size > _TRAP_RATIO * max(1, entry.compress_size):
            return f"it unpacks to {entry.file_size >> 20} MiB out of {entry.compress_size} bytes: a trap."
        return ""
