"""Strip of all points: where left and right stand among them, cut to the width around the right one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from opeddev_tui.ui.screens.generations.snapshots import Point

Part = tuple[Content, str]


def strip(points: Sequence[Point], left: int, right: int, width: int) -> list[Part]:
    """Return the parts of the strip, each with the action of a click; the right point is always among them."""
    tokens = [_tokens(points, at, left, right) for at in range(len(points))]
    first = last = right
    room = width - _width(tokens[right]) - 4
    while first > 0 or last < len(tokens) - 1:
        before = first, last
        for at in (first - 1, last + 1):
            if 0 <= at < len(tokens) and _width(tokens[at]) <= room:
                room -= _width(tokens[at])
                first, last = min(first, at), max(last, at)
        if before == (first, last):
            break
    parts = [part for at in range(first, last + 1) for part in tokens[at]]
    if first > 0:
        parts.insert(0, (Content.styled("…", "$muted"), ""))
    if last < len(tokens) - 1:
        parts.append((Content.styled("…", "$muted"), ""))
    return parts


def _width(parts: Sequence[Part]) -> int:
    return sum(content.cell_length + 1 for content, _ in parts)


def _tokens(points: Sequence[Point], at: int, left: int, right: int) -> list[Part]:
    point = points[at]
    parts: list[Part] = []
    if at == 0 or points[at - 1].key[0] != point.key[0]:
        bar = "│ " if at else ""
        parts.append((Content.styled(f"{bar}step {point.step}:", "$muted"), ""))
    who = ("L" if at == left else "") + ("R" if at == right else "")
    text = f" {who}▸{point.short} " if who else f" {point.short} "
    style = {"L": "bold $background on $secondary", "R": "bold $background on $primary"}.get(who, "")
    parts.append((Content.styled(text, style or ("bold reverse" if who else "$foreground")), f"right_point({at})"))
    return parts
