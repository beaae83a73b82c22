"""Lines of the screen make their caches late: what they say is the same, and a new release of Textual is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import Monochrome
from textual.strip import Strip

from opeddev_tui.config import loading
from opeddev_tui.terminal.textual_private import _CACHES, make_caches_late
from opeddev_tui.ui.app import OpeddevApp

ITALIC, GREY = Style(italic=True), Monochrome()
# each finds its result in a cache the second time
USES = {
    "_divide_cache": lambda strip: strip.divide([2, 6]),
    "_crop_cache": lambda strip: strip.crop(1, 4),
    "_style_cache": lambda strip: strip.apply_style(ITALIC),
    "_filter_cache": lambda strip: strip.apply_filter(GREY, Color(0, 0, 0)),
    "_line_length_cache": lambda strip: strip.adjust_cell_length(9, ITALIC),
    "_crop_extend_cache": lambda strip: strip.crop_extend(1, 8, ITALIC),
    "_offsets_cache": lambda strip: strip.apply_offsets(3, 4),
}


def line() -> Strip:
    return Strip([Segment("ab", Style(bold=True)), Segment("日本", Style(color="red"))], 6)


def made(strip: Strip) -> set[str]:
    """Return the caches that there are: looking makes none."""
    return {name for name in _CACHES if _is_set(strip, name)}


def _is_set(strip: Strip, name: str) -> bool:
    try:
        type(strip).__dict__[name].__get__(strip)
    except AttributeError:
        return False
    return True


@pytest.fixture(autouse=True)
def _late() -> None:
    make_caches_late()


@pytest.mark.parametrize("name", USES)
def test_a_cache_is_made_by_its_first_use_and_used_by_the_second(name: str) -> None:
    strip = line()
    assert made(strip) == set()
    first = USES[name](strip)
    assert made(strip) == {name}
    again = USES[name](strip)
    assert again is first or all(one is two for one, two in zip(again, first, strict=True))


def test_every_cache_of_this_release_is_known() -> None:
    # else the app falls back on Textual's own way, which is slower
    assert (
        set(USES) == set(_CACHES) == {name for name in Strip.__slots__ if name.endswith("_cache")} - {"_render_cache"}
    )
    with pytest.raises(AttributeError, match="another"):
        line().another  # noqa: B018


def test_a_release_with_other_parts_keeps_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Strip.__init__
    monkeypatch.setattr(Strip, "__slots__", [*Strip.__slots__, "_new"])
    monkeypatch.setattr(Strip, "__init__", own := lambda *_: None)
    make_caches_late()
    assert Strip.__init__ is own is not before


def test_the_app_uses_them_and_finds_its_theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strip, "__init__", lambda *_: None)
    app = OpeddevApp(tmp_path, loading.load(tmp_path))
    assert made(line()) == set()
    assert line().text == "ab日本"
    for name, theme in app.available_themes.items():
        assert app.get_theme(name) is theme
        assert app.get_theme(f"none, {name}") is theme
    assert app.get_theme("none") is None
