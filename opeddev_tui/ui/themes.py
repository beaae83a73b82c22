"""Load themes: TOML files of the app, of the person and of the workspace, as Textual themes.

A file that cannot be used is reported with its reason and never keeps the app from starting. What the app's own styles
need beyond Textual's variables is in ``theme_colours``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from msgspec import Struct
from textual.app import App
from textual.theme import Theme

from opeddev_tui.files import read_text, reason_of
from opeddev_tui.ui.theme_colours import OWN_VARIABLES, parsed_colour

DEFAULT = "opeddev-dark"
SUFFIX = ".toml"

_KNOWN = {item.name for item in fields(Theme)}
_COLOURS = _KNOWN - {"name", "dark", "luminosity_spread", "text_alpha", "variables", "ansi"}
_STYLE_WORDS = frozenset(
    {"none", "bold", "dim", "italic", "reverse", "strike", "underline", "underline2", "blink", "not",
     "b", "d", "i", "r", "s", "u"}
)  # fmt: skip


class FailedTheme(Struct, frozen=True):
    """A theme file that cannot be used, and why."""

    path: Path
    reason: str


def shipped_folder() -> Path:
    """Return the folder of the app's own themes: in the installed package, else in the project."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "themes"
    return installed if installed.is_dir() else package.parent / "themes"


def theme_folders(workspace: Path | None) -> list[Path]:
    """Return where themes are looked for; later ones win."""
    from opeddev_tui.config.private_files import own_folder

    folders = [shipped_folder(), own_folder() / "themes"]
    return [*folders, workspace / "themes"] if workspace is not None else folders


def load_themes(folders: Iterable[Path]) -> tuple[dict[str, Theme], list[FailedTheme]]:
    """Return the themes in ``folders`` by name, and the files that cannot be used."""
    loaded: dict[str, Theme] = {}
    failed: list[FailedTheme] = []
    for path in (path for folder in folders for path in _files(folder)):
        try:
            theme = _read(path)
        except (OSError, ValueError) as error:
            failed.append(FailedTheme(path, reason_of(error)))
        else:
            loaded[theme.name] = theme
    return loaded, failed


def put_in_place(app: App[Any], workspace: Path | None, name: str) -> tuple[list[FailedTheme], str]:
    """Register all themes with a new app and use the one called ``name``, so that style sheets are read once.

    Return the files that cannot be used, and ``name`` if there is no such theme.
    """
    themes, failed = load_themes(theme_folders(workspace))
    for theme in themes.values():
        app.register_theme(theme)
    missing = "" if name in app.available_themes else name
    app.set_reactive(App.theme, name if not missing else DEFAULT if DEFAULT in themes else "textual-dark")
    dark = app.current_theme.dark
    # what Textual does when a theme changes, without its second reading of every style sheet
    for style_class, on in (("-dark-mode", dark), ("-light-mode", not dark), (f"-theme-{app.theme}", True)):
        app.set_class(on, style_class, update=False)
    app.stylesheet.set_variables(app.get_css_variables())
    return failed, missing


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except OSError:
        return []


def _read(path: Path) -> Theme:
    """Return the theme of a file; raises ``OSError`` and ``ValueError``."""
    # UnicodeDecodeError and TOMLDecodeError are ValueErrors
    try:
        table = tomllib.loads(read_text(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if reason := _wrong(table):
        raise ValueError(reason)
    theme = Theme(**table)
    if reason := _unusable_variable(theme):
        raise ValueError(reason)
    return theme


def _wrong(table: dict[str, Any]) -> str:
    """Return what is wrong with a theme's table, "" if nothing is."""
    for name in ("name", "primary"):
        if not isinstance(table.get(name), str) or not table[name]:
            return f"{name} is missing"
    unknown = sorted(set(table) - _KNOWN)
    if unknown:
        return f"unknown key {unknown[0]}; known are {', '.join(sorted(_KNOWN))}"
    for name in ("dark", "ansi"):
        if not isinstance(table.get(name, True), bool):
            return f"{name} must be true or false"
    for name in ("luminosity_spread", "text_alpha"):
        if not isinstance(table.get(name, 0.5), int | float):
            return f"{name} must be a number"
    variables = table.get("variables", {})
    if not isinstance(variables, dict):
        return "variables must be a table"
    colours = {name: table[name] for name in _COLOURS if name in table}
    return next((f"{name} = {value!r} is no colour" for name, value in colours.items() if not _is_plain(value)), "")


def _unusable_variable(theme: Theme) -> str:
    """Return which of a theme's variables Textual's style sheets could not read, "" if they can read all."""
    # reading a theme costs the first frame nothing where it has only variables of the app
    generated = theme.to_color_system().generate() if set(theme.variables) - set(OWN_VARIABLES) else {}
    for name, value in theme.variables.items():
        if name in OWN_VARIABLES and not _is_plain(value):
            return f"{name} = {value!r} is no colour"
        if name not in generated:
            continue  # nothing uses it
        if name.endswith("-text-style") or name.startswith("link-style"):
            if not isinstance(value, str) or not set(value.split()) <= _STYLE_WORDS:
                return f"{name} = {value!r} is no text style"
        elif not _is_colour(value):
            return f"{name} = {value!r} is no colour"
    return ""


def _is_plain(value: Any) -> bool:
    """Return whether ``value`` is a colour of its own, which others can be made from."""
    colour = parsed_colour(value)
    return colour is not None and not colour.auto


def _is_colour(value: Any) -> bool:
    """Return whether ``value`` is a colour for a style sheet, perhaps with a share: "red 30%", "auto 60%"."""
    if not isinstance(value, str):
        return False
    colour, _, share = value.rpartition(" ")
    if colour and re.fullmatch(r"\d+(\.\d+)?%", share):
        value = colour
    return value == "auto" or parsed_colour(value) is not None
