"""Theme files: found, checked, and a broken one told instead of fatal."""

from pathlib import Path

import pytest
from textual.color import Color

from opeddev_tui.ui.theme_colours import OWN_VARIABLES
from opeddev_tui.ui.theme_colours import contrast as _ratio
from opeddev_tui.ui.themes import DEFAULT, load_themes, shipped_folder, theme_folders

BROKEN = {
    "syntax": "name = ",
    "no name": 'primary = "red"',
    "no primary": 'name = "x"',
    "colour": 'name = "x"\nprimary = "no colour"',
    "variable": 'name = "x"\nprimary = "red"\n[variables]\nplot-train = "nope"',
    "unknown": 'name = "x"\nprimary = "red"\nprimry = "blue"',
    "dark": 'name = "x"\nprimary = "red"\ndark = "yes"',
    "variables": 'name = "x"\nprimary = "red"\nvariables = 3',
    "number": 'name = "x"\nprimary = "red"\ntext_alpha = "high"',
    "type": 'name = "x"\nprimary = 5',
    "no colour of its own": 'name = "x"\nprimary = "auto"',
    "ansi": 'name = "x"\nprimary = "red"\nansi = 1',
    "textual's variable": 'name = "x"\nprimary = "red"\n[variables]\nborder = "tall blue"',
    "text style": 'name = "x"\nprimary = "red"\n[variables]\nblock-cursor-text-style = "wavy"',
    "number as a colour": 'name = "x"\nprimary = "red"\n[variables]\nscrollbar = 5',
}


def test_the_four_shipped_themes_are_sound() -> None:
    loaded, failed = load_themes([shipped_folder()])
    assert not failed
    assert len(loaded) >= 4
    assert DEFAULT in loaded
    for theme in loaded.values():
        assert set(OWN_VARIABLES) <= set(theme.variables)


@pytest.mark.parametrize("name", sorted(load_themes([shipped_folder()])[0]))
def test_texts_can_be_read(name: str) -> None:
    theme = load_themes([shipped_folder()])[0][name]
    least = 7.0 if "contrast" in name else 4.5
    for background in (theme.background, theme.surface):
        assert _ratio(Color.parse(theme.foreground or ""), Color.parse(background or "")) >= 7
        for colour in (theme.primary, theme.variables["muted"], theme.variables["text-error-own"]):
            assert _ratio(Color.parse(colour), Color.parse(background or "")) >= least, (name, colour)
        for variable in ("plot-train", "plot-holdout", "plot-previous", "plot-axis", "plot-best"):
            colour = theme.variables[variable]
            assert _ratio(Color.parse(colour), Color.parse(background or "")) >= 3, (name, variable)


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_theme_is_told(tmp_path: Path, why: str) -> None:
    (tmp_path / "bad.toml").write_text(BROKEN[why])
    (tmp_path / "good.toml").write_text('name = "good"\nprimary = "red"\n')
    loaded, failed = load_themes([tmp_path, tmp_path / "missing"])
    assert list(loaded) == ["good"]
    assert [item.path.name for item in failed] == ["bad.toml"]
    assert failed[0].reason


def test_a_workspace_theme_wins(tmp_path: Path) -> None:
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "mine.toml").write_text('name = "opeddev-dark"\nprimary = "#123456"\n')
    loaded, _ = load_themes(theme_folders(tmp_path))
    assert loaded["opeddev-dark"].primary == "#123456"
