"""Only changed cells are sent, and the terminal shows the same as if everything were; ASCII where there is no more."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pyte
import pytest
from hostile import PAYLOADS
from pty_tools import PYTHON, Terminal, end, until
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from opeddev_tui.terminal.ascii_fallback import as_ascii, ascii_only
from opeddev_tui.terminal.cell_diff import ShownCells, cells_of
from opeddev_tui.text import clean_line

SIZE = (40, 6)
STYLES = [Style.parse(text) for text in ("red on black", "bold blue", "none", "reverse green", "white on #123456")]
WORDS = ["loss 0.31", "漢字", "────", "⠉⠢⢤", "é", "epoch", "      ", "█▇▆", *map(clean_line, PAYLOADS.values())]


def _strip(draw: random.Random) -> Strip:
    segments = [Segment(draw.choice(WORDS)[:12], draw.choice(STYLES)) for _ in range(8)]
    return Strip(segments).adjust_cell_length(SIZE[0], STYLES[0])


def _sent(shown: ShownCells, picture: list[Strip]) -> str:
    shown.only_changes(_nothing(), SIZE)
    return "".join(
        text for y, strip in enumerate(picture) for text in shown.changed(0, y, strip, ColorSystem.TRUECOLOR)
    )


def _nothing() -> object:
    from textual._compositor import LayoutUpdate
    from textual.geometry import Region

    return LayoutUpdate([], Region())


@pytest.mark.parametrize("seed", range(5))
def test_changes_alone_make_the_same_picture(seed: int) -> None:
    draw, shown = random.Random(seed), ShownCells()
    screens = [pyte.Screen(*SIZE) for _ in range(2)]
    streams = [pyte.Stream(screen) for screen in screens]
    picture = [_strip(draw) for _ in range(SIZE[1])]
    for _ in range(30):
        for y in range(SIZE[1]):
            if draw.random() < 0.4:
                picture[y] = _strip(draw)
        streams[0].feed(_sent(shown, picture))
        streams[1].feed(_sent(ShownCells(), picture))
        assert screens[0].display == screens[1].display
        assert _sent(shown, picture) == "", "nothing changed, nothing is sent"


def test_a_changed_number_costs_a_few_bytes() -> None:
    shown = ShownCells()
    before = Strip([Segment("loss ", STYLES[0]), Segment("0.3125", STYLES[1]), Segment(" " * 29, STYLES[0])])
    after = Strip([Segment("loss ", STYLES[0]), Segment("0.3126", STYLES[1]), Segment(" " * 29, STYLES[0])])
    assert len(_sent(shown, [before])) > 60
    assert len(_sent(shown, [after])) < 25
    shown.forget()
    assert len(_sent(shown, [after])) > 60


def test_cells_count_wide_characters_twice_and_marks_not() -> None:
    assert [char for char, _ in cells_of(Strip([Segment("a漢e\u0301b")]))] == ["a", "漢", "", "e\u0301", "b"]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX", "LC_ALL": ""}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "C.utf8", "LANG": "C"}, False),
        ({"LC_CTYPE": "UTF-8"}, False),
        ({}, False),
    ],
)
def test_the_locale_says_whether_there_is_more_than_ascii(given: dict[str, str], plain: bool) -> None:
    assert ascii_only(given) is plain


def test_every_character_has_a_stand_in() -> None:
    for code in (*range(0x20, 0x7F), *range(0xA0, 0x3000), 0x1F600):
        shown = as_ascii(chr(code))
        assert len(shown) == 1
        assert shown.isascii()
        assert shown.isprintable()


def test_the_app_can_be_used_in_ascii_without_colour(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    terminal = Terminal(100, 32)
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", str(tmp_path)], LANG="C", LC_ALL="C", NO_COLOR="1")
    try:
        until(lambda: terminal.shows("No data yet"), 30)
        assert terminal.shows("+= [1] Where your data goes") or terminal.shows("+- [1] Where your data goes")
        terminal.press("5")
        until(lambda: terminal.shows("num_train_epochs") or terminal.shows("model.name"), 20)
        until(lambda: max(terminal.reversed_cells()) > 20, 20, "the selected row can be seen without colour")
        assert bytes(terminal.received).isascii()
        # Textual's way without colour: shades of grey
        for red, green, blue in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", bytes(terminal.received)):
            assert red == green == blue
    finally:
        end(process)
        terminal.close()
