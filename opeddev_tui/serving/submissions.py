"""Find submissions: files, folders, data files, diffs, zips and the standard input, one after the other.

What each argument is, is decided before a model is loaded; its submissions are read one at a time. ``per`` says what
one submission is: each file, each folder directly in the one that is named, or the whole.
"""

import io
import json
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data import folder_files
from opeddev_tui.data.byte_order import BOM
from opeddev_tui.errors import DataProblem
from opeddev_tui.serving import zips
from opeddev_tui.serving.diffs import ChangedFile, changed_files, diff_text, looks_like_diff
from opeddev_tui.serving.folders import (
    BINARY,
    LINKS,
    file_item,
    folder_items,
    left_out_inside,
    read_start,
    require_there,
    shown,
    source_files,
)
from opeddev_tui.serving.items import NO_TEXT, Item, Skipped, item_of, together
from opeddev_tui.serving.row_files import line_items, row_items
from opeddev_tui.serving.streams import Stream

Per = Literal["file", "folder", "whole"]
STANDARD_INPUT = "-"
_START = 1 << 16
_DIFF_ENDINGS = (".diff", ".patch")
# kinds of sources that another program may still be writing
_STREAMS = ("input", "pipe")


class Source(Struct, frozen=True):
    """One argument: ``kind`` is folder, rows, diff, zip, file, pipe or input."""

    path: Path
    kind: str


class Submissions:
    """The submissions of ``arguments``; raises ``DataProblem`` for one that is not there or cannot be told.

    ``skipped`` counts what ``items`` left out. ``standard_input`` is read where an argument is ``-``.
    """

    def __init__(
        self, arguments: Sequence[str], settings: st.Data, per: Per = "file", standard_input: BinaryIO | None = None
    ) -> None:
        self.skipped = Skipped()
        # called while a stream has nothing to read yet; may raise to end the waiting
        self.on_wait: Callable[[], None] = lambda: None
        # that of the source that is read now
        self._stream: Stream | None = None
        self._settings, self._per, self._input = settings, per, standard_input
        if list(arguments).count(STANDARD_INPUT) > 1:
            raise DataProblem("the standard input can be read once.", where="-", cure="Write - once.")
        self.sources = [self._source(argument) for argument in arguments]
        self._diffs = self._others = 0

    def _source(self, argument: str) -> Source:
        if argument == STANDARD_INPUT:
            return Source(Path("standard input"), "input")
        path = Path(argument).expanduser()
        mode = require_there(path).st_mode
        if stat.S_ISDIR(mode):
            return Source(path, "folder")
        if stat.S_ISFIFO(mode):
            return Source(path, "pipe")
        if not stat.S_ISREG(mode):
            raise DataProblem(
                "is neither a file nor a folder.", where=shown(path), cure="Name a file, a folder, or - for the input."
            )
        return Source(path, _kind_of(path))

    @property
    def only_diffs(self) -> bool:
        """True where all that was read were diffs: one without a source file is no mistake."""
        return self._diffs > 0 and not self._others

    def count(self) -> int | None:
        """Return about how many submissions there are, for a forecast; None where nobody can know yet."""
        try:
            counts = [self._count_of(source) for source in self.sources]
        except (DataProblem, OSError):
            return None  # why a source cannot be read is said when it is
        return None if any(count is None for count in counts) else sum(count or 0 for count in counts)

    def _count_of(self, source: Source) -> int | None:
        if source.kind in _STREAMS:
            return None
        if source.kind == "file" or self._per == "whole":
            return 1
        if source.kind == "folder":
            files = source_files(source.path, Skipped())
            depth = len(source.path.parts)
            return len({path.parts[depth] for path in files}) if self._per == "folder" else sum(1 for _ in files)
        if source.kind == "rows" and source.path.suffix.lower() in (".jsonl", ".ndjson"):
            with source.path.open("rb") as file:
                return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) or 1
        return zips.count(source.path) if source.kind == "zip" and self._per == "file" else None

    def items(self) -> Iterator[Item]:
        """Yield every submission. A source that cannot be read to its end is one more that says why."""
        return (item for item in self.paced() if item is not None)

    def paced(self) -> Iterator[Item | None]:
        """Yield as ``items``, and None where the next one may have to be waited for.

        Whoever answers what came before a None keeps nobody waiting who writes into a stream, nor one who reads.
        """
        for source in self.sources:
            streams = source.kind in _STREAMS
            if streams:
                yield None
            try:
                for item in self._items_of(source):
                    yield item
                    if streams and not self._is_ready():
                        yield None
            except DataProblem as problem:
                yield Item({}, problem.where or shown(source.path), problem=f"{problem.message} {problem.cure}".strip())

    def _is_ready(self) -> bool:
        """Return whether the next submission of the stream can be had without waiting for whoever writes it."""
        return self._stream is None or self._stream.ready(self._settings.max_line_bytes)

    def _items_of(self, source: Source) -> Iterator[Item]:
        self._others += source.kind not in ("diff", *_STREAMS)
        most = self._settings.max_line_bytes
        readers: dict[str, Callable[[], Iterator[Item]]] = {
            "folder": lambda: folder_items(source.path, self._per, most, self.skipped),
            "rows": lambda: row_items(source.path, self._settings),
            "zip": lambda: zips.zip_items(source.path, self._per, most, self.skipped),
            "diff": lambda: self._diff(read_start(source.path, zips.MOST_BYTES), shown(source.path)),
            "input": lambda: self._of_stream(self._input or io.BytesIO(), "standard input"),
            "pipe": lambda: self._of_pipe(source.path),
            "file": lambda: iter([file_item(source.path, most)]),
        }
        return readers[source.kind]()

    # --- streams

    def _of_pipe(self, path: Path) -> Iterator[Item]:
        with path.open("rb") as file:
            yield from self._of_stream(file, shown(path))

    def _of_stream(self, file: BinaryIO, place: str) -> Iterator[Item]:
        """Yield what a stream holds: rows as they come, or a zip, a diff, a JSON document or one submission."""
        most = self._settings.max_line_bytes
        stream = self._stream = Stream(file, lambda: self.on_wait())
        first = stream.readline(most + 2)
        if _is_row(first):
            yield from line_items(cast(BinaryIO, _Begun(first, stream)), Path(place), self._settings)
            return
        content = first + stream.read(zips.MOST_BYTES - len(first))
        kind = ".zip" if zips.is_zip(content) else ".json" if _is_json(content) else ""
        if kind:
            with tempfile.NamedTemporaryFile(prefix="opeddev-", suffix=kind) as kept:
                kept.write(content)
                kept.flush()
                for item in self._items_of(Source(Path(kept.name), "zip" if kind == ".zip" else "rows")):
                    yield _renamed(item, kept.name, place)
        elif looks_like_diff(diff_text(content[:_START])):
            yield from self._diff(content, place)
        else:
            item = item_of(content, place, most)
            yield Item(item.fields, place, "", item.problem, item.doubts)

    # --- diffs

    def _diff(self, content: bytes, place: str) -> Iterator[Item]:
        most = self._settings.max_line_bytes
        if self._per == "whole":
            item = item_of(content, place, most)
            yield Item(item.fields, place, "", item.problem, ("it is a diff, not a file.", *item.doubts))
            return
        self._diffs += 1
        parts: dict[str, list[tuple[str, Item]]] = {}
        files = changed_files(diff_text(content))
        if not files:
            item = item_of(content, place, most)
            reason = item.problem or ("it is a diff without a changed file." if content.strip() else "")
            yield Item(item.fields, place, "", reason)
        for changed in files:
            item = self._changed(changed, place)
            if item.problem == NO_TEXT:
                self.skipped.add(BINARY)
            elif reason := _left_out_of_diff(changed):
                self.skipped.add(reason)
            elif self._per == "file":
                yield item
            else:
                parts.setdefault(changed.path.partition("/")[0], []).append((changed.path, item))
        for top, members in parts.items():
            yield together(members, f"{place}!{shown(top)}", most)

    def _changed(self, changed: ChangedFile, place: str) -> Item:
        """Return the new side of one file of a diff."""
        doubts = [] if changed.whole else ["a diff shows only the changed parts of the file."]
        doubts += ["the diff is cut off in this file."] if changed.cut else []
        name = shown(changed.path)
        content = changed.text.encode("utf-8", "surrogateescape")
        item = item_of(content, f"{place}!{name}", self._settings.max_line_bytes, doubts=tuple(doubts))
        return Item(item.fields, item.file, name, item.problem, item.doubts)


class _Begun:
    """A stream whose first line was read already."""

    def __init__(self, first: bytes, file: Stream) -> None:
        self._first, self._file = first, file

    def readline(self, size: int) -> bytes:
        """Return the next line, of ``size`` bytes at most; the first one is never longer than was read."""
        first, self._first = self._first, b""
        return first or self._file.readline(size)


def _kind_of(path: Path) -> str:
    """Return what the file at ``path`` is: zip, diff, rows or file."""
    try:
        start = read_start(path, _START)
    except OSError:
        return "file"  # why it cannot be read is said when it is
    if zips.is_zip(start):
        return "zip"
    if folder_files.data_suffix(path):
        return "rows"
    is_diff = path.suffix.lower() in _DIFF_ENDINGS or looks_like_diff(diff_text(start))
    return "diff" if is_diff else "file"


def _left_out_of_diff(changed: ChangedFile) -> str:
    """Return why a file of a diff is no submission, empty where it is one."""
    reasons = (
        (changed.gone, "deleted files"),
        (changed.binary, BINARY),
        (changed.submodule, "submodules"),
        (changed.link, LINKS),
    )
    reason = next((words for is_so, words in reasons if is_so), "") or left_out_inside(changed.path)
    return reason or ("files without a changed line" if changed.same else "")


def _is_row(line: bytes) -> bool:
    """Return whether the first line of a stream is a whole JSON object, as in JSONL."""
    text = line.removeprefix(BOM).strip()
    return text.startswith(b"{") and text.endswith(b"}") and _is_json(text)


def _is_json(content: bytes) -> bool:
    """Return whether ``content`` is one JSON object or array; code may begin with a bracket, too."""
    if not content.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
        return False
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _renamed(item: Item, before: str, now: str) -> Item:
    return Item(item.fields, item.file.replace(before, now), item.name, item.problem, item.doubts)
