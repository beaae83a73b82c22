"""Write the report: one HTML page that needs no other file, and the same in Markdown beside the plots.

Text from models and data is escaped: by the template in HTML, by ``cell`` and ``fenced`` in Markdown. The page allows
its own style sheet and embedded images, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.analysis import learning_curve
from opeddev_tui.analysis.word_diff import Piece
from opeddev_tui.errors import DataProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.format import number, share
from opeddev_tui.reports import plots
from opeddev_tui.reports.content import Findings, ReportExample, collect
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


class Plot(Struct, frozen=True):
    """A plot of the report; ``name`` is the file name without suffix, ``data`` the SVG in Base64."""

    name: str
    caption: str
    data: str


def write_report(workspace: Workspace, records: Sequence[RunRecord]) -> list[Path]:
    """Write the plots, ``report.html`` and ``report.md``; return the paths of the two reports.

    Raises ``DataProblem`` if no epoch was trained yet, ``StorageProblem`` if a file cannot be written.
    """
    if not learning_curve.steps_of(records):
        raise DataProblem("nothing is trained yet.", where=str(workspace.root), cure="Train a step: opeddev-tui train.")
    findings = collect(workspace, records)
    drawn = _plots(workspace, records)
    folder = workspace.path(workspace.paths.plots)
    written = []
    for name, text in (("report.html", render_html(findings, drawn)), ("report.md", render_markdown(findings, drawn))):
        write_atomic(folder / name, text.encode("utf-8", errors="replace"))
        written.append(folder / name)
    return written


def _plots(workspace: Workspace, records: Sequence[RunRecord]) -> list[Plot]:
    """Write the plots and return those of the report, the series first; the report shows examples as text instead."""
    files = [path for path in plots.write_plots(workspace, records) if path.suffix == ".svg"]
    shown = [path for path in files if not path.name.startswith("examples_")]
    ordered = sorted(shown, key=lambda path: path.stem != "holdout_over_size")
    return [
        Plot(path.stem, _caption(path.stem), base64.b64encode(path.read_bytes()).decode("ascii")) for path in ordered
    ]


def _caption(name: str) -> str:
    if name == "holdout_over_size":
        return "Hold-out loss, and grades where there are any, over the rows trained on, with intervals."
    if name == "grade_calibration":
        return "How often the chosen way's grades are right over how sure it is of them."
    batch = clean_line(name.removeprefix("loss_step_"))
    return f"Loss over the epochs of the step that added {batch}; epoch 0 is the state before it."


def render(name: str, **values: Any) -> str:
    """Return the template ``name`` of this package filled with ``values``; only HTML is escaped here."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("opeddev_tui.reports", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        cell=cell, fenced=fenced, joined=joined, changes=changes, number=number, share=share, repr=repr, yaml=json.dumps
    )
    return environment.get_template(name).render(**values)


def render_html(findings: Findings, drawn: Sequence[Plot]) -> str:
    """Return the page."""
    from markupsafe import Markup

    style = resources.files("opeddev_tui.reports").joinpath("templates/report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    # the style sheet comes from this package; everything else is escaped
    return render("report.html.jinja", it=findings, plots=drawn, style=Markup(style), style_hash=f"sha256-{digest}")


def render_markdown(findings: Findings, drawn: Sequence[Plot]) -> str:
    """Return the Markdown file; its plots are the PNG files beside it."""
    return re.sub(r"\n{3,}", "\n\n", render("report.md.jinja", it=findings, plots=drawn))


# --- Markdown


def cell(text: str) -> str:
    """Return ``text`` on one line, with everything that Markdown or HTML would take for markup escaped."""
    return _SPECIAL.sub(r"\\\1", html.escape(clean_line(text), quote=False))


def fenced(text: str) -> str:
    """Return ``text`` as a code block whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def joined(pieces: Sequence[Piece]) -> str:
    """Return the whole text of ``pieces``."""
    return "".join(piece.text for piece in pieces)


def changes(example: ReportExample) -> str:
    """Return what changed: removed words struck, added words bold."""
    parts = []
    for pieces, kind, mark in ((example.before, "removed", "~~"), (example.after, "added", "**")):
        words = " ".join(word for piece in pieces if piece.kind == kind and (word := piece.text.strip()))
        parts += [f"{mark}{cell(words)}{mark}"] if words else []
    return " ".join(parts) or "none"
