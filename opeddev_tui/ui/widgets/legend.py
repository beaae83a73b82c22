"""The line that explains a list or a pane: only what is in view, in whole clauses, as many as fit. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from rich.cells import cell_len

# a sentence, or what the titles of columns mean, the most important first; "" is said whatever is in view
Legend = str | Mapping[str, str]
_CLAUSE = re.compile(r"(?<=[.;]) ")


def fitting(text: str, width: int) -> str:
    """Return the clauses of ``text`` that fit ``width`` cells, the first one always; the last ends in a full stop."""
    shown = ""
    for clause in _CLAUSE.split(text):
        longer = f"{shown} {clause}".lstrip()
        if shown and cell_len(longer) > width:
            break
        shown = longer
    return re.sub(r";$", ".", shown)


def explained(legend: Legend, in_view: Collection[str], width: int) -> str:
    """Return what ``legend`` says of the columns ``in_view`` in ``width`` cells, "" where none needs a word."""
    if isinstance(legend, str):
        return fitting(legend, width)
    parts = [f"{title}: {words}" if title else words for title, words in legend.items() if title in {"", *in_view}]
    return fitting("; ".join(parts) + "." if parts else "", width)
