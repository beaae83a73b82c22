"""Write what grades in an exported folder: heads, ``grader.json`` and a ``grade.py`` that needs no other code of ours.

The script reads prompts as training did: template, guarded text, cut. No row and no place of this machine is written.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.checkpoints import folders, heads
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.data import grade_scale
from opeddev_tui.data.ungraded import KINDS
from opeddev_tui.errors import ModelProblem
from opeddev_tui.exporting.bases import KnownBase
from opeddev_tui.exporting.ways import Way
from opeddev_tui.files import write_atomic
from opeddev_tui.grading.grade_tokens import grade_tokens
from opeddev_tui.grading.ordinal import UNIFORM
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import STAND_INS
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.reports.report import render
from opeddev_tui.runs.measured_grades import Measured
from opeddev_tui.serving.answers import measured_json, plain_grade
from opeddev_tui.serving.asked import USUAL, Filling

SCRIPT, DESCRIPTION = "grade.py", "grader.json"
FORMAT = 1


# by field, then by kind ("" for any other): a text and where it comes from
Defaults = Mapping[str, Mapping[str, tuple[str, str]]]


class GraderFiles(Struct, frozen=True):
    """How a folder grades: by ``way``, with ``base`` where that or an ``adapter`` needs a model beside the folder.

    ``kinds`` names the kind of a source file by its ending; ``defaults`` are what a submission gets that lacks a field,
    ``measured`` is what the hold-out showed of its grades.
    """

    way: Way
    base: KnownBase | None
    adapter: bool
    kinds: Mapping[str, str]
    defaults: Defaults
    measured: Measured | None = None


def grader_files(
    way: Way, base: KnownBase | None, fill: Filling, *, adapter: bool, measured: Measured | None = None
) -> GraderFiles:
    """Return how a folder grades where ``fill`` fills in what a submission lacks."""
    kinds = {ending: fill.usual.kind_of(Path(f"x{ending}")) for ending in KINDS}
    named = ("", *sorted({*fill.usual.kinds, *kinds.values()}))
    defaults = {name: _told_apart({kind: fill.of(name, kind) for kind in named}) for name in st.GIVEN_FIELDS}
    return GraderFiles(way, base, adapter, kinds, defaults, measured)


def usual_in(defaults: Defaults) -> list[str]:
    """Return the fields for which a text of the training rows is written into the folder."""
    return [name for name, texts in defaults.items() if any(origin == USUAL for _, origin in texts.values())]


def _told_apart(texts: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return ``texts`` by kind without those that are what any other kind has, and without empty ones."""
    other = texts[""]
    return {kind: text for kind, text in texts.items() if text[0] and (not kind or text != other)}


def write_grader(
    folder: Path, files: GraderFiles, settings: st.Settings, encoder: ChatEncoder, stem: tuple[str, str] | None
) -> None:
    """Write ``grader.json`` and ``grade.py`` into ``folder``.

    ``stem`` is the text before and after a grade, asked for where grades are read from tokens. Raises ``ModelProblem``
    where there is none.
    """
    described = _described(files, settings, encoder, stem)
    write_atomic(folder / DESCRIPTION, json.dumps(described, ensure_ascii=False, indent=1).encode() + b"\n")
    way, base = files.way, files.base
    script = render(
        "grade.py.jinja",
        reads=way.words,
        way=way.reads,
        head=way.head,
        merges=files.adapter and way.model == heads.STEP,
        adds_blank=encoder.adds_blank,
        base_help=_base_help(files),
        local=base is not None and not base.hub,
    )
    write_atomic(folder / SCRIPT, script.encode())


def _base_help(files: GraderFiles) -> str:
    """Return which model belongs to ``--base``: by its name and, as whoever needs it has no other sign, its hash."""
    base = files.base
    if base is None:
        return ""
    role = "below the adapters" if files.way.model == heads.STEP else "that the first step began with"
    if base.hub:
        return f"the folder of {base.name}, the model {role}, instead of the hub"
    weights = f" ({base.weights})" if base.weights else ""
    return f"the folder of {base.name}, the model {role}{weights}; whoever made this export has it"


def _described(
    files: GraderFiles, settings: st.Settings, encoder: ChatEncoder, stem: tuple[str, str] | None
) -> dict[str, Any]:
    grading, scale, base = settings.grading, Scale.of(settings.grading), files.base
    return {
        "format": FORMAT,
        "way": files.way.name,
        "labels": scale.labels,
        # as JSON of the app writes them: numbers where they are numbers
        "grades": [plain_grade(label) for label in scale.labels],
        "minimum": scale.minimum,
        "system_prompt": grading.system_prompt,
        "prompt_template": grading.prompt_template,
        "max_prompt_tokens": _room(files.way, settings, encoder),
        "markers": encoder.guard.cuts,
        "kinds": dict(files.kinds),
        "defaults": {name: dict(texts) for name, texts in files.defaults.items()},
        "measured": measured_json(files.measured),
        **(_needs(base) if base is not None else {}),
        **({"stand_ins": STAND_INS, "uniform": UNIFORM} if files.way.reads == "head" else {}),
        **({"uniform": UNIFORM} if files.way.reads == "pieces" else {}),
        **(_tokens(encoder, stem, scale) if files.way.reads == "tokens" else {}),
        **(_text(grading, scale) if files.way.reads == "text" else {}),
    }


def _needs(base: KnownBase) -> dict[str, Any]:
    if not base.hub:
        return {"needs": {"name": base.name}}
    return {
        "needs": {"pretrained_model_name_or_path": base.hub} | ({"revision": base.revision} if base.revision else {})
    }


def _room(way: Way, settings: st.Settings, encoder: ChatEncoder) -> int:
    """Return the most tokens of a prompt: those that training keeps, fewer where the context ends before an answer."""
    room = max(1, min(encoder.prompt_room(), encoder.max_length))
    if way.reads == "text" and encoder.positions is not None:
        room = max(1, settings.data.min_prompt_tokens, min(room, encoder.positions - settings.grading.max_new_tokens))
    return room


def _tokens(encoder: ChatEncoder, stem: tuple[str, str] | None, scale: Scale) -> dict[str, Any]:
    found = grade_tokens(encoder, stem, scale.labels) if stem is not None else None
    if found is None:
        raise ModelProblem(
            "the grades' tokens are not known: the training rows are not there any more, or begin in other words.",
            where="export",
            cure="Put the rows back that the step was trained on, or export a checkpoint with a grade head.",
        )
    return {"stem": list(found.stem), "tails": [list(tail) for tail in found.tails]}


def _text(grading: st.Grading, scale: Scale) -> dict[str, Any]:
    written = {label.casefold(): label for label in scale.labels}
    if not grading.grades:
        # "3.0", "+3" and "3/5" state the grade 3
        numbers = range(grading.minimum, grading.maximum + 1)
        forms = ("{}.0", "{},0", "+{}", "{}/" + str(grading.maximum))
        written |= {
            form.format(number): grade_scale.written(number, grading)
            for number in numbers
            for form in forms
            if grade_scale.grade_of(form.format(number), grading) == number
        }
    re.compile(grading.pattern)
    return {"pattern": grading.pattern, "max_new_tokens": grading.max_new_tokens, "written": written}


# --- heads


def carry_heads(entry: Entry, folder: Path) -> None:
    """Copy the heads of ``entry`` into ``folder``, without the words of feedbacks that they keep for writing one."""
    heads.carry(entry.folder, folder, folders.weights_digest(folder))
    for model in heads.heads_in(folder):
        path = folder / heads.head_files(model)[1]
        found = msgspec.json.decode(path.read_bytes())
        if found.get("criteria"):
            # a whole feedback of rows in which nothing failed
            found["criteria"]["style"]["clean"] = ""
        write_atomic(path, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
