"""Read a unified diff, as git writes it: the new side of each file, by the counts that its hunks state.

Everything else in it (the message of a commit, mail headers) is left alone. Pure: takes lines, reads no file.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from opeddev_tui.data.byte_order import BOM, wide_encoding

_GIT = re.compile(r"diff --(?:git|cc|combined) ")
_HUNK = re.compile(r"(@@+) ((?:-\d+(?:,\d+)? )+)\+\d+(?:,(\d+))? @@+")
_BINARY = re.compile(r"(?:Binary files .* differ|GIT binary patch)")
# what a terminal is told by git diff --color
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")
_LINK, _SUBMODULE = " 120000", " 160000"
_ESCAPES = {"n": 10, "t": 9, "r": 13, '"': 34, "\\": 92, "a": 7, "b": 8, "f": 12, "v": 11}
_QUOTED = re.compile(rb'\\([0-7]{1,3}|[ntrabfv"\\])')
NOTHING = "/dev/null"


class ChangedFile(Struct):
    """The new side of one file of a diff: the lines it keeps and adds, as far as the diff has them.

    ``before`` is the path of the old side, ``by_git``: git wrote the header. ``whole``: the file is new, so all of it
    is there. ``gone``: it was deleted; ``binary``: no text; ``cut``: the diff ends inside a hunk.
    """

    path: str = ""
    before: str = ""
    lines: list[str] = []
    by_git: bool = False
    mode: str = ""
    whole: bool = False
    gone: bool = False
    binary: bool = False
    cut: bool = False
    hunks: int = 0

    @property
    def is_one(self) -> bool:
        """False where words of a message only looked like the header of a file."""
        return bool(self.path) and bool(self.hunks or self.binary or self.gone or self.by_git)

    @property
    def text(self) -> str:
        """The lines together; of a link and a submodule they are no content."""
        return "".join(self.lines)

    @property
    def same(self) -> bool:
        """True where only its name or mode changed."""
        return not (self.hunks or self.binary or self.gone or self.whole)

    @property
    def link(self) -> bool:
        """True for a symbolic link."""
        return self.mode.endswith(_LINK)

    @property
    def submodule(self) -> bool:
        """True for a commit of another repository."""
        return self.mode.endswith(_SUBMODULE)


def diff_text(content: bytes) -> str:
    """Return a diff, or the beginning of one, as text without a terminal's colours.

    Each file in it may have another encoding: bytes that are no UTF-8 are kept as Python's surrogates. What PowerShell
    writes is UTF-16.
    """
    if wide := wide_encoding(content):
        text = content.decode(wide, "replace")
    else:
        text = content.removeprefix(BOM).decode("utf-8", "surrogateescape")
    if "\x1b[" not in text or looks_like_diff(text):
        return text
    plain = _COLOUR.sub("", text)
    return plain if looks_like_diff(plain) else text


def looks_like_diff(start: str) -> bool:
    """Return whether a text that begins with ``start`` is a unified diff, also behind the message of a commit."""
    lines = start.splitlines()
    if any(_GIT.match(line) for line in lines):
        return True
    pairs = zip(lines, lines[1:], lines[2:], strict=False)
    return any(a.startswith("--- ") and b.startswith("+++ ") and c.startswith("@@ -") for a, b, c in pairs)


def changed_files(text: str) -> list[ChangedFile]:
    """Return the files of a unified diff, in its order; none where there is none in ``text``."""
    files: list[ChangedFile] = []
    lines = _lines(text)
    for line in lines:
        plain = line.rstrip("\r\n")
        if _GIT.match(plain):
            files.append(ChangedFile(path=_of_header(plain), by_git=True))
        elif plain.startswith("--- "):
            if not files or files[-1].hunks:
                files.append(ChangedFile())
            files[-1].before = _name(plain[4:])
            files[-1].whole = plain[4:].split("\t")[0].strip() == NOTHING
        elif files:
            _read_line(files[-1], plain, lines)
    for file in files:
        file.path = file.path or file.before
    return [file for file in files if file.is_one]


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of ``text`` with their ends, \\n alone: a submission may hold others."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end + 1
        yield text[start:end]
        start = end


def _read_line(file: ChangedFile, plain: str, lines: Iterator[str]) -> None:
    """Take a line of the header of ``file``, or a whole hunk."""
    if plain.startswith("+++ "):
        name = plain[4:].split("\t")[0].strip()
        file.gone = name == NOTHING
        file.path = file.path or file.before if file.gone else _name(plain[4:])
    elif plain.startswith("rename to "):
        file.path = _unquoted(plain[len("rename to ") :])
    elif plain.startswith(("deleted file mode", "new file mode", "new mode", "index ")):
        file.gone = file.gone or plain.startswith("deleted")
        file.whole = file.whole or plain.startswith("new file")
        file.mode = plain
    elif _BINARY.match(plain):
        file.binary = True
    elif match := _HUNK.match(plain):
        file.hunks += 1
        _read_hunk(file, match, lines)


def _read_hunk(file: ChangedFile, match: re.Match[str], lines: Iterator[str]) -> None:
    """Take the lines of a hunk; its header says how many there are, so that a line may look like anything."""
    columns = len(match[1]) - 1
    old = [int(part.partition(",")[2] or "1") for part in match[2].split()]
    new = 1 if match[3] is None else int(match[3])
    while new > 0 or any(count > 0 for count in old):
        line = next(lines, None)
        if line is None:
            file.cut = True
            return
        if line.startswith("\\"):
            continue
        # an editor may have taken the blank of an empty line
        marks = line[:columns] if line.strip("\r\n") else " " * columns
        if set(marks) - set(" +-"):
            file.cut = True
            return
        if "-" not in marks:
            new -= 1
            file.lines.append(line[columns:] if line.strip("\r\n") else line)
        for place, mark in enumerate(marks):
            old[place] -= mark == "-" or (mark == " " and "-" not in marks)


def _of_header(plain: str) -> str:
    """Return the path in ``diff --git a/x b/x`` where both are the same, else what follows the last blank."""
    rest = _GIT.sub("", plain, count=1)
    if rest.startswith('"') or rest.endswith('"'):
        return _name(rest[rest.rfind(' "') + 1 :] if rest.endswith('"') else rest.rpartition(" ")[2])
    half = (len(rest) - 1) // 2
    one, other = rest[:half], rest[half + 1 :]
    return _name(other if one[2:] == other[2:] else rest.rpartition(" ")[2])


def _name(text: str) -> str:
    """Return a file's name without its timestamp, quotes and the a/ or b/ of git."""
    name = _unquoted(text.split("\t")[0].strip())
    return name[2:] if name[:2] in ("a/", "b/", "i/", "w/", "c/", "o/") else name


def _unquoted(text: str) -> str:
    """Return a name that git may have written in quotes, with its bytes as octal numbers."""
    text = text.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text

    def byte(match: re.Match[bytes]) -> bytes:
        sign = match[1].decode()
        return bytes([_ESCAPES[sign] if sign in _ESCAPES else int(sign, 8) & 255])

    return _QUOTED.sub(byte, text[1:-1].encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
