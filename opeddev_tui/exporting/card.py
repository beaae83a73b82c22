"""Fill the model card of an export from the run's records: figures with intervals, data, limits, files, how to prompt.

Names data sets and models, never a place of this machine, and shows no row.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opeddev_tui.checkpoints import heads
from opeddev_tui.checkpoints.base_model import shown, unverified
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.exporting.bases import known_base
from opeddev_tui.exporting.grader import usual_in
from opeddev_tui.format import capital, rounded, size, with_interval
from opeddev_tui.grading.scale import Scale
from opeddev_tui.models.export import ADAPTER_FILES
from opeddev_tui.reports.report import render
from opeddev_tui.runs.cheap_ways import CheapWay, cheap_of
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.runs.grade_events import GradesMeasured, steadied_rows
from opeddev_tui.runs.grade_records import WORDS, Figure, RacedWay, WayGrades
from opeddev_tui.runs.grade_words import few_rows, graded_by, steadied_heads, too_few
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.state import RunState
from opeddev_tui.serving.answers import plain_grade

if TYPE_CHECKING:
    from opeddev_tui.exporting.folder import Exported

AnyWay = WayGrades | RacedWay | CheapWay
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
    state, started = record.state, record.state.started
    first = started.model if started else settings.model.name
    base = known_base(first, "", settings.model.revision)
    present = [(name, words) for name, words in _FILES.items() if (folder / name).exists()]
    way = exported.way.name if exported.way is not None else ""
    return render(
        "model_card.md.jinja",
        entry=entry,
        **_of_the_export(exported),
        on_hub=exported.below.hub if exported.below is not None else base.hub,
        first_model=base.name,
        parent=checkpoint_name(entry.parent) if entry.parent else "",
        started=started,
        epochs=sorted(state.epochs.items()),
        **_results(state, round(entry.epoch), way),
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
    )


def _of_the_export(exported: "Exported") -> dict[str, Any]:
    """Return what the card says of how the exported folder grades."""
    return {
        "exported": exported,
        "way": exported.way,
        "graded_by": graded_by(exported.way.name if exported.way is not None else ""),
        "below": exported.below,
        "needs": exported.base,
        "assumes": bool(exported.defaults),
        "usual": usual_in(exported.defaults),
    }


def _rank(folder: Path) -> int:
    """Return the adapter's rank, which vLLM wants to be told; 0 without an adapter."""
    try:
        return int(json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8"))["r"])
    except (OSError, ValueError, KeyError):
        return 0


def _results(state: RunState, epoch: int, way: str) -> dict[str, Any]:
    """Return what the card tells of grades after ``epoch``; ``way`` is the one that grades."""
    read, measured = state.readings.get(epoch), state.grades.get(epoch)
    own, cheap = _own_ways(state, epoch), cheap_of(state, epoch)
    rows = len(read.ids) if read is not None else len(measured.reference) if measured is not None else 0
    written = [item.answered for item in own if isinstance(item, RacedWay) and item.mode == "text"]
    return {
        "figures": [_row(item) for item in (*own, *cheap)] if own else [],
        "unbeaten": _unbeaten(way, own, cheap, rows),
        "texts_read": written[0] if written else measured.texts_read if measured is not None else None,
        "graded": rows,
        "few": few_rows(rows),
    }


def _own_ways(state: RunState, epoch: int) -> Sequence[WayGrades | RacedWay]:
    """Return the ways with a language model after ``epoch``: those of its race, else what was read then."""
    race, read, measured = state.races.get(epoch), state.readings.get(epoch), state.grades.get(epoch)
    if race is not None and race.ways:
        return [way for way in race.ways if not way.cheap]
    if read is not None:
        return read.ways
    return [_as_way(measured)] if measured is not None else []


def _as_way(measured: GradesMeasured) -> WayGrades:
    """Return the grades of a journal that has nothing else: one of version 0.1."""
    found = {"exact": Figure(measured.exact), "within_one": Figure(measured.within_one)}
    if not measured.leaves_out:
        kappa = Figure(measured.kappa, *(measured.kappa_interval or ()))
        found |= {"kappa": kappa, "mae": Figure(measured.mean_absolute_error)}
    return WayGrades(measured.way, WORDS.get(measured.way, measured.way), (), figures=found)


def _unbeaten(way: str, own: Sequence[WayGrades | RacedWay], cheap: Sequence[CheapWay], rows: int) -> str:
    """Return, as a sentence, which cheap way ``way``, which grades, does not beat; empty where it beats all.

    Kappa decides, of older journals' text classifier the share of exact grades. On too few ``rows`` nothing does.
    """
    mine = next((item for item in own if item.way == way), None)
    if mine is None or too_few(rows):
        return ""
    for rival in sorted(cheap, key=lambda item: _value(item, "kappa") or 0.0, reverse=True):
        name, words = ("kappa", "kappa") if "kappa" in rival.figures else ("exact", "share of exact grades")
        here, there = _value(mine, name), _value(rival, name)
        # as they are shown: a rounding error beats nothing
        if here is not None and there is not None and round(there, 2) >= round(here, 2):
            begin = f"{capital(rival.words)}, which needs no language model, is not beaten"
            return f"{begin}: its {words} is {rounded(there)}, that of {mine.words} {rounded(here)}."
    return ""


def _value(way: AnyWay, name: str) -> float | None:
    return way.figures[name].value if name in way.figures else None


def _row(way: AnyWay) -> tuple[str, ...]:
    words = f"{way.words}, without a language model" if isinstance(way, CheapWay) else way.words
    found = [way.figures.get(name, Figure(None)) for name, _ in _FIGURES]
    return (words, *(with_interval(item.value, (item.low, item.high)) for item in found))


def _cost(record: RunRecord) -> str:
    """Return what a second model beside this one costs, in words."""
    model = record.state.model
    return f"{size(model.parameters * 4)} in float32" if model is not None else "its size"
