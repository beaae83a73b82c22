"""Fill the model card of an export from the run's records: figures with intervals, data, limits, files, how to prompt.

Names data sets and models, never a place of this machine, and shows no row.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.checkpoints import heads
from opeddev_tui.checkpoints.base_model import shown, unverified
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.exporting.bases import known_base
from opeddev_tui.exporting.grader import usual_in
from opeddev_tui.format import size
from opeddev_tui.grading.scale import Scale
from opeddev_tui.models.export import ADAPTER_FILES
from opeddev_tui.reports.report import render
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.runs.grade_events import steadied_rows
from opeddev_tui.runs.grade_records import Figure, WayGrades
from opeddev_tui.runs.grade_words import few_rows, graded_by, steadied_heads
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.serving.answers import plain_grade

if TYPE_CHECKING:
    from opeddev_tui.exporting.folder import Exported

# (name, words) of the figures in the card's table
_FIGURES = (
    ("kappa", "quadratic weighted kappa"),
    ("exact", "exactly right"),
    ("within_one", "at most one grade off"),
    ("mae", "mean distance in grades"),
)
_FILES = {
    "model.safetensors": "the weights",
    "adapter_model.safetensors": "the adapter's weights",
    "adapter_config.json": "which layers the adapter changes, and the model below it",
    "config.json": "the architecture",
    "generation_config.json": "how the app generates: the likeliest token, and where a text ends",
    "tokenizer.json": "the tokenizer",
    "chat_template.jinja": "the chat template; its defaults are what was trained",
    "grade.py": "grades files and rows as the app does, without the app",
    "grader.json": "what `grade.py` needs to read prompts as training did",
    "grade_head.safetensors": "the head on the base model",
    "step_grade_head.safetensors": "the head on this model",
    "Modelfile": "for Ollama",
}


class FigureRow(Struct, frozen=True):
    """A way's figures as cells of a table."""

    words: str
    cells: tuple[str, ...]


def model_card(
    exported: "Exported",
    entry: Entry,
    record: RunRecord,
    settings: st.Settings,
    folder: Path,
    *,
    prompt_tokens: int,
    without_ollama: str,
) -> str:
    """Return the card as Markdown.

    ``folder`` holds the other files; ``prompt_tokens`` are the most that a prompt keeps; ``without_ollama``: why it has
    no Modelfile.
    """
    state = record.state
    started = state.started
    first = started.model if started else settings.model.name
    base = known_base(first, "", settings.model.revision)
    present = [(name, words) for name, words in _FILES.items() if (folder / name).exists()]
    read = state.readings.get(round(entry.epoch))
    return render(
        "model_card.md.jinja",
        entry=entry,
        exported=exported,
        way=exported.way,
        graded_by=graded_by(exported.way.name) if exported.way is not None else "",
        below=exported.below,
        needs=exported.base,
        on_hub=exported.below.hub if exported.below is not None else base.hub,
        first_model=base.name,
        parent=checkpoint_name(entry.parent) if entry.parent else "",
        started=started,
        epochs=sorted(state.epochs.items()),
        grades=state.grades.get(round(entry.epoch)),
        figures=[_row(way) for way in read.ways] if read is not None else [],
        graded=len(read.ids) if read is not None else 0,
        few=few_rows(len(read.ids)) if read is not None else "",
        figure_names=[words for _, words in _FIGURES],
        settings=settings,
        unverified=unverified(str(entry.folder)),
        race=state.race,
        heads=heads.heads_in(entry.folder),
        steadied=steadied_heads(steadied_rows(state.heads.values())),
        head_base=shown(entry.grades_with),
        files=present,
        cost=_cost(record),
        without_ollama=without_ollama,
        rank=_rank(folder),
        prompt_tokens=prompt_tokens,
        lowest=json.dumps(plain_grade(Scale.of(settings.grading).labels[0])),
        assumes=bool(exported.defaults),
        usual=usual_in(exported.defaults),
    )


def _rank(folder: Path) -> int:
    """Return the adapter's rank, which vLLM wants to be told; 0 without an adapter."""
    try:
        return int(json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError):
        return 0


def _row(way: WayGrades) -> FigureRow:
    return FigureRow(way.words, tuple(_cell(way.figures.get(name)) for name, _ in _FIGURES))


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return ""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _cost(record: RunRecord) -> str:
    """Return what a second model beside this one costs, in words."""
    model = record.state.model
    return f"{size(model.parameters * 4)} in float32" if model is not None else "its size"
