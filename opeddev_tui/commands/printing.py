"""What every command prints with: a console that shows no raw text, and JSON that holds none.

Must be the only place that makes a Rich console for a command.
"""

import json
import math
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from opeddev_tui.text import clean, clean_line, escaped
from opeddev_tui.workspace.typed_commands import for_here


class CleanConsole(Console):
    """A console without markup, whose every piece of text passes the filter, whatever drew it.

    ``root`` is the workspace that is told about: commands in what is said are complete for the folder of now.
    """

    def __init__(self, root: Path | None = None, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)
        self._root = root

    def say(self, words: str, style: str = "", *, soft_wrap: bool = False, indent: int = 0) -> None:
        """Print ``words``, cleaned; nothing where there are none.

        With ``soft_wrap`` no word is broken, not even one that is longer than a line, and neither is a line with a
        command to copy nor one that no terminal shows. ``indent`` is in columns.
        """
        words = words if self._root is None else for_here(words, self._root)
        if words:
            if (soft_wrap or self.soft_wrap) and self.is_terminal and "opeddev-tui " not in words:
                words = between_words(words, self.width)
            text = Text(clean(words), style=style)
            self.print(Padding(text, (0, 0, 0, indent)) if indent else text, soft_wrap=soft_wrap or None)

    @property
    def file(self) -> IO[str]:
        """The stream below the filter of plain text: colours and cursor movements are this console's own."""
        file = super().file
        unfiltered: IO[str] = getattr(file, "unfiltered", file)
        return unfiltered

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render ``renderable`` with its text cleaned."""
        for segment in super().render(renderable, options):
            yield (
                segment if segment.control else Segment(clean(segment.text, max_chars=len(segment.text)), segment.style)
            )


def between_words(text: str, width: int) -> str:
    """Return ``text`` in lines of at most ``width`` characters that begin and end with whole words."""
    wrapped = (
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""] for line in text.split("\n")
    )
    return "\n".join(line for lines in wrapped for line in lines)


def plain_table(*names: str, title: str = "", gap: int = 1) -> Table:
    """Return an empty table without lines, its columns named in a dim first row and ``gap`` spaces apart."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    table.title, table.title_justify = Text(clean_line(title)) if title else None, "left"
    for name in names:
        table.add_column(name)
    return table


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; what a terminal must not get is in it as escapes, so nothing of it is changed."""
    write_json(json_text(value))


def write_json(text: str) -> None:
    """Print JSON that ``json_text`` made."""
    getattr(sys.stdout, "unfiltered", sys.stdout).write(f"{text}\n")


def json_text(value: Any) -> str:
    """Return ``value`` as indented JSON that a terminal can show; what is no finite number is null."""
    return escaped(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return _plain(msgspec.to_builtins(value, enc_hook=str))
