"""The legend above a plot: one entry per curve, the most important first. Pure: no widget, no series."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text


def pale(mark: str, colour: str, words: str, readable: str) -> Text:
    """Return the entry of a curve whose colour is too pale for words: only its mark has it."""
    return Text(mark, colour).append(words, readable)


def legend_text(entries: Sequence[Text], width: int) -> Text:
    """Return as many of the first entries as fit into ``width`` cells; … says that there are more."""
    legend = Text(no_wrap=True, end="")
    for at, entry in enumerate(entries):
        gap = "  " if legend else ""
        more = 2 if at < len(entries) - 1 else 0
        if legend.cell_len + len(gap) + entry.cell_len + more > width:
            legend.append(" …" if legend and legend.cell_len + 2 <= width else "")
            break
        legend.append(gap).append_text(entry.copy())
    return legend
