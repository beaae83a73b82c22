"""Complete a theme's colours: the app's own variables for any theme, and texts that can be read on its background.

Pure: a theme's variables in, variables out. Textual's own themes, and those of a person, know nothing of this app.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from textual.color import Color, ColorParseError

# what the app's style sheet, its texts and its plots use beyond Textual's variables; a theme may give them itself
OWN_VARIABLES = (
    "plot-train", "plot-holdout", "plot-previous", "plot-axis", "plot-cursor", "plot-best", "muted", "border-idle",
    "text-error-own",
)  # fmt: skip
# colours of a theme that the app writes texts in
_WRITTEN_IN = ("primary", "accent", "success", "warning")
# least contrast of texts and of lines, by WCAG 2.1 (1.4.3 and 1.4.11)
TEXT, LINE = 4.5, 3.0
# how far apart two curves must be, in RGB
_APART = 90.0
# a theme in the terminal's own colours has none that others could be made from
_TERMINALS: Mapping[str, str] = {
    "muted": "ansi_bright_black", "border-idle": "ansi_bright_black", "text-error-own": "ansi_red",
}  # fmt: skip
# "ansi-…" are Textual's, which it does not make up for a theme that lacks them
_TERMINALS_BY_DARKNESS: Mapping[bool, Mapping[str, str]] = {
    True: {"plot-train": "#6cb6ff", "plot-holdout": "#f0b35a", "plot-previous": "#6a7683", "plot-axis": "#8b96a3",
           "plot-cursor": "#f0f3f6", "plot-best": "#57c98a", "ansi-background": "ansi_black",
           "ansi-foreground": "ansi_white"},
    False: {"plot-train": "#0a5fb4", "plot-holdout": "#b35900", "plot-previous": "#80868d", "plot-axis": "#5d6873",
            "plot-cursor": "#1c2127", "plot-best": "#1a7340", "ansi-background": "ansi_white",
            "ansi-foreground": "ansi_black"},
}  # fmt: skip


def completed(variables: Mapping[str, str], own: Mapping[str, str], *, dark: bool) -> dict[str, str]:
    """Return a theme's ``variables`` with all of the app; ``own`` are those that the theme gives itself."""
    background = parsed_colour(variables["background"])
    if background is None or background.ansi is not None:
        return {**_TERMINALS, **_TERMINALS_BY_DARKNESS[dark], **variables}
    grounds = [
        background,
        *(ground for name in ("surface", "panel") if (ground := _solid(variables[name], background))),
    ]
    result = dict(variables)
    for name in _WRITTEN_IN:
        if name not in own and (colour := _solid(variables[name], background)) is not None:
            result[name] = readable(colour, grounds, TEXT).hex6
    return {**_TERMINALS_BY_DARKNESS[dark], **_derived(result, grounds), **result}


def _derived(variables: Mapping[str, str], grounds: Sequence[Color]) -> dict[str, str]:
    background = grounds[0]
    foreground = _solid(variables["foreground"], background) or background.get_contrast_text(1.0)
    colours = {name: _solid(variables[name], background) or foreground for name in (*_WRITTEN_IN, "secondary", "error")}
    muted = background.blend(foreground, 0.62)
    train = readable(colours["primary"], grounds, LINE)
    others = [readable(colours[name], grounds, LINE) for name in ("accent", "warning", "secondary", "success")]
    holdout = next((colour for colour in others if _distance(colour, train) >= _APART), foreground)
    return {
        "plot-train": train.hex6,
        "plot-holdout": holdout.hex6,
        "plot-previous": readable(background.blend(foreground, 0.45), grounds, LINE).hex6,
        "plot-axis": readable(background.blend(foreground, 0.6), grounds, LINE).hex6,
        "plot-cursor": foreground.hex6,
        "plot-best": readable(colours["success"], grounds, LINE).hex6,
        "muted": readable(muted, grounds, min(TEXT, contrast(foreground, background))).hex6,
        "border-idle": background.blend(foreground, 0.25).hex6,
        "text-error-own": readable(colours["error"], grounds, TEXT).hex6,
    }


def readable(colour: Color, grounds: Sequence[Color], least: float) -> Color:
    """Return ``colour``, moved towards white or black until it has the contrast ``least`` on all ``grounds``."""
    towards = Color(255, 255, 255) if grounds[0].brightness < 0.5 else Color(0, 0, 0)
    shades = (colour.blend(towards, part / 20) for part in range(21))
    return next((shade for shade in shades if min(contrast(shade, ground) for ground in grounds) >= least), towards)


def contrast(first: Color, second: Color) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.1 defines it."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [
        part / 255 / 12.92 if part / 255 <= 0.03928 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour.rgb
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _distance(first: Color, second: Color) -> float:
    return math.dist(first.rgb, second.rgb)


def _solid(text: str, ground: Color) -> Color | None:
    """Return a colour as it is seen on ``ground``, None where there is none or it is one of the terminal's own."""
    colour = parsed_colour(text)
    return None if colour is None or colour.ansi is not None or colour.auto else ground + colour


def parsed_colour(value: Any) -> Color | None:
    """Return a theme's colour, None where ``value`` is none."""
    try:
        return Color.parse(value) if isinstance(value, str) else None
    except ColorParseError:
        return None
