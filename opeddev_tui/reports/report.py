"""Owns the report as files: one HTML page that needs nothing else, and the same in Markdown beside the plots.

Text from models and data comes in as plain text and is escaped by the template (HTML) or by ``cell`` and ``fenced``
(Markdown). The page allows itself its own style sheet and embedded images, and nothing from anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.analysis import learning_curve
from opeddev_tui.analysis.word_diff import Piece
from opeddev_tui.errors import DataProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.reports import plots
from opeddev_tui.reports.content import Findings, ReportExample, collect
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from jinja2 import Environment

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


class Plot(Struct, frozen=True):
    """One drawn plot: its file name without suffix, what it shows, and its SVG in Base64."""

    name: str
    caption: str
    data: str


def write_report(workspace: Workspace, records: Sequence[RunRecord]) -> list[Path]:
    """Write plots, ``report.html`` and ``report.md`` and return the two reports' paths.

    Raises ``DataProblem`` when no epoch was trained yet, ``StorageProblem`` if the disk does not take them.
    """
    if not learning_curve.steps_of(records):
        raise DataProblem("nothing is trained yet.", where=str(workspace.root), cure="Train a step: train --step next.")
    findings = collect(workspace, records)
    drawn = _plots(workspace, records)
    folder = workspace.path(workspace.paths.plots)
    written = []
    for name, text in (("report.html", render_html(findings, drawn)), ("report.md", render_markdown(findings, drawn))):
        write_atomic(folder / name, text.encode("utf-8", errors="replace"))
        written.append(folder / name)
    return written


def _plots(workspace: Workspace, records: Sequence[RunRecord]) -> list[Plot]:
    """Write the plots and return those that the report shows, the series first; examples are shown as text."""
    files = [path for path in plots.write_plots(workspace, records) if path.suffix == ".svg"]
    shown = [path for path in files if not path.name.startswith("examples_")]
    ordered = sorted(shown, key=lambda path: path.stem != "holdout_over_size")
    return [
        Plot(path.stem, _caption(path.stem), base64.b64encode(path.read_bytes()).decode("ascii")) for path in ordered
    ]


def _caption(name: str) -> str:
    if name == "holdout_over_size":
        return "Hold-out loss, and grades where there are any, over the rows trained on, with intervals."
    batch = clean_line(name.removeprefix("loss_step_"))
    return f"Loss over the epochs of the step that added {batch}; epoch 0 is the state before it."


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("opeddev_tui.reports", "templates"),
        # by the template's name: report.html.jinja is escaped, report.md.jinja escapes by its filters
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=cell, fenced=fenced, joined=joined, changes=changes)
    return environment


def render_html(findings: Findings, drawn: Sequence[Plot]) -> str:
    """Return the page."""
    from markupsafe import Markup

    style = resources.files("opeddev_tui.reports").joinpath("templates/report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    template = _environment().get_template("report.html.jinja")
    # the style sheet is ours; everything else goes through autoescape
    return template.render(it=findings, plots=drawn, style=Markup(style), style_hash=f"sha256-{digest}")


def render_markdown(findings: Findings, drawn: Sequence[Plot]) -> str:
    """Return the Markdown file; its plots are the PNG files beside it."""
    text = _environment().get_template("report.md.jinja").render(it=findings, plots=drawn)
    return re.sub(r"\n{3,}", "\n\n", text)


# --- Markdown


def cell(text: str) -> str:
    """Return ``text`` on one line with everything that Markdown or HTML would take for markup escaped."""
    return _SPECIAL.sub(r"\\\1", html.escape(clean_line(text), quote=False))


def fenced(text: str) -> str:
    """Return ``text`` as a code block whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def joined(pieces: Sequence[Piece]) -> str:
    """Return the text that ``pieces`` make up."""
    return "".join(piece.text for piece in pieces)


def changes(example: ReportExample) -> str:
    """Return what changed, words that went struck and words that came bold."""
    went = " ".join(piece.text.strip() for piece in example.before if piece.kind == "removed" and piece.text.strip())
    came = " ".join(piece.text.strip() for piece in example.after if piece.kind == "added" and piece.text.strip())
    parts = [f"~~{cell(went)}~~" if went else "", f"**{cell(came)}**" if came else ""]
    return " ".join(part for part in parts if part) or "none"
