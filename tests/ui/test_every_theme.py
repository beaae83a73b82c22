"""Every theme on every screen: those of Textual, those of the app, and those that a person may write."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from scenes import make, opened, settle, until
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES, Theme
from tour import modules, screens

from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import PLACES
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.theme_colours import LINE, OWN_VARIABLES, TEXT, completed, contrast
from opeddev_tui.ui.themes import load_themes, shipped_folder

SHIPPED = load_themes([shipped_folder()])[0]
THEMES: dict[str, Theme] = {**BUILTIN_THEMES, **SHIPPED}
# walked through: every other theme has the variables that the screens use, and is one of these with other colours
WALKED = {*SHIPPED, "textual-dark", "textual-light", "ansi-dark", "ansi-light"}
OWN_THEMES = {
    "primary-only": 'primary = "red"',
    "light": 'primary = "#ffff00"\ndark = false',
    "terminal": 'primary = "ansi_red"\nbackground = "ansi_default"\nforeground = "ansi_default"\nansi = true',
    "half-terminal": 'primary = "ansi_bright_blue"',
    "see-through": 'primary = "rgba(255, 0, 0, 0.2)"\nsurface = "transparent"\npanel = "#ffffff20"',
    "equal": 'primary = "#222222"\naccent = "#222222"\nbackground = "#222222"\nforeground = "#222222"',
    "shares": 'primary = "hsl(200, 50%, 50%)"\n[variables]\nborder = "red 30%"\nlink-style = "bold not dim"',
    "terminal-mixed": 'primary = "blue"\nansi = true\nbackground = "#101010"',
    "own": 'primary = "blue"\n[variables]\nborder-idle = "#123456"\nunheard-of = "anything"',
}


async def _walk(app: OpeddevApp, pilot: Pilot[str]) -> None:
    """Show every screen, and a problem over the last; the dialogs are shown in ``test_every_stop``."""
    for _, mode, _ in PLACES:
        await app.run_action(f"app.go('{mode}')")
        await until(pilot, lambda mode=mode: app.current_mode == mode and isinstance(app.screen, BaseScreen))
        await pilot.pause()
    app.tell("a problem", severity="error")
    await pilot.pause()


async def _starts(folder: Path, name: str, *, walks: bool) -> dict[str, str]:
    """Start the app with a theme, walk through all screens where it ``walks``, and return the colours."""
    app = make(folder, "awaiting", theme=name)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        assert app.theme == name
        if walks:
            await _walk(app, pilot)
        return dict(app.theme_variables)


@pytest.mark.parametrize("name", THEMES)
async def test_the_app_starts_with_every_theme_and_every_screen_shows_it(tmp_path: Path, name: str) -> None:
    assert set(OWN_VARIABLES) <= set(await _starts(tmp_path, name, walks=name in WALKED))


@pytest.mark.parametrize("name", OWN_THEMES)
async def test_the_app_starts_with_a_theme_of_ones_own(tmp_path: Path, name: str) -> None:
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "own.toml").write_text(f'name = "{name}"\n{OWN_THEMES[name]}\n')
    variables = await _starts(tmp_path, name, walks=True)
    if name == "own":
        assert variables["border-idle"] == "#123456"


async def test_a_running_app_changes_to_every_theme_that_the_palette_offers(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        assert set(app.available_themes) == set(THEMES)
        offered = [command for command in app.get_system_commands(app.screen) if command.title.startswith("Theme: ")]
        assert len(offered) == len(THEMES)
        for command in offered:
            command.callback()
            await pilot.pause()
            assert command.title == f"Theme: {app.theme}"


def _styles() -> dict[str, str]:
    """Return the styles of all screens, dialogs and parts of the app, each with its place."""
    found: dict[str, str] = {}
    for module in modules():
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, DOMNode) and kind.__module__ == module.__name__:
                own = vars(kind)
                found[f"{module.__name__}.{name}"] = f"{own.get('DEFAULT_CSS', '')}\n{own.get('CSS', '')}"
                if path := own.get("CSS_PATH"):
                    file = Path(inspect.getfile(kind)).parent / path
                    found[str(file)] = file.read_text(encoding="utf-8")
    return found


async def test_no_screen_dialog_or_part_uses_a_colour_that_a_theme_lacks(tmp_path: Path) -> None:
    styles = _styles()
    assert {f"{kind.__module__}.{kind.__name__}" for kind in screens()} <= set(styles)
    assert "opeddev_tui.ui.screens.grader.correct.CorrectScreen" in styles
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        kept: set[tuple[bool, frozenset[str]]] = set()
        for name, theme in app.available_themes.items():
            app.theme = name
            await pilot.pause()
            variables = app.get_css_variables()
            # styles are read alike under themes of the same variables
            if (alike := (theme.ansi, frozenset(variables))) in kept:
                continue
            kept.add(alike)
            sheet = Stylesheet(variables=variables)
            for place, text in styles.items():
                sheet.add_source(text, (place, ""))
            # raises where a variable is missing
            sheet.parse()
            assert sheet.rules


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if not theme.ansi])
def test_what_is_derived_can_be_read(name: str) -> None:
    theme = THEMES[name]
    generated = theme.to_color_system().generate()
    colours = completed({**generated, **theme.variables}, theme.variables, dark=theme.dark)
    grounds = [Color.parse(colours[ground]) for ground in ("background", "surface")]
    best = min(TEXT, *(contrast(Color.parse(colours["foreground"]), ground) for ground in grounds))
    for text in ("muted", "text-error-own", "primary", "accent", "success", "warning"):
        for ground in grounds:
            assert contrast(Color.parse(colours[text]), ground) >= best - 0.1, text
    for line in ("plot-train", "plot-holdout", "plot-previous", "plot-axis", "plot-best", "plot-cursor"):
        assert contrast(Color.parse(colours[line]), grounds[0]) >= LINE - 0.1, line
    assert colours["plot-train"] != colours["plot-holdout"]


def test_a_shipped_theme_is_used_as_it_is_written() -> None:
    for theme in SHIPPED.values():
        given = {**theme.to_color_system().generate(), **theme.variables}
        colours = completed(given, theme.variables, dark=theme.dark)
        assert {name: colours[name] for name in given} == given, theme.name
