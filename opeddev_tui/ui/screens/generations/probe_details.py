"""Texts of one probe prompt for the details below the table: asked, before and now with marks, the reference. Pure."""

from __future__ import annotations

from textual.content import Content

from opeddev_tui.format import plural
from opeddev_tui.runs.events import Sample
from opeddev_tui.ui.screens.generations.probe_list import Probe
from opeddev_tui.ui.widgets.code_text import coloured, compared
from opeddev_tui.ui.widgets.details import Part

NONE_YET = "No generations yet: the probe prompts are generated before the step and after every epoch."
# the ids of the frames, in the order of ``parts_of``
FRAMES = ("probe-asked", "probe-before", "probe-now", "probe-reference")


def parts_of(probe: Probe, before: str, now: str) -> tuple[Part, ...]:
    """Return the texts of ``probe``; ``before`` and ``now`` name the two points of the training."""
    asked = probe.asked
    sides = both(probe.before, probe.now, asked.kind)
    return (
        Part(" · ".join(filter(None, [f"Prompt {probe.name}", asked.kind if asked.kind != "own" else "your own"])),
             coloured(asked.prompt, asked.kind), below=_history(probe)),
        Part(f"Before: {before}", sides[0], below=judged(probe.before)),
        Part(f"Now: {now}", sides[1], below=judged(probe.now)),
        Part("Reference", *reference(asked)),
    )  # fmt: skip


def both(before: Sample | None, now: Sample | None, kind: str, *, marks: bool = True) -> tuple[Content, ...]:
    """Return what was written before and now, the differences marked."""
    if before is not None and now is not None:
        return compared(before.text, now.text, kind, marks=marks)
    return tuple(_alone(answer, kind) for answer in (before, now))


def _history(probe: Probe) -> str:
    """Return the grades at all points of the run, and how often they changed."""
    if all(grade is None for grade in probe.grades):
        return ""
    grades = " ".join("?" if grade is None else str(grade) for grade in probe.grades)
    return f"grades {grades}" + (f", {plural(probe.flips, 'flip')}" if probe.flips else "")


def _alone(answer: Sample | None, kind: str) -> Content:
    """Return what was written, without anything to compare it with."""
    if answer is None:
        return Content.styled("This prompt was not among the probe prompts then.", "$muted")
    return coloured(answer.text, kind)


def reference(asked: Sample) -> tuple[Content, str]:
    """Return what a person wrote for a prompt, and its grade in words."""
    if asked.own:
        return Content.styled("None: this is a prompt of your own.", "$muted"), ""
    if not asked.reference:
        return Content.styled("None in the row.", "$muted"), ""
    grade = f"grade {asked.reference_grade}" if asked.reference_grade is not None else ""
    return coloured(asked.reference, asked.kind), grade


def judged(sample: Sample | None) -> str:
    """Return the grade read from the text and how far it is from the reference, in words and not by colour."""
    if sample is None:
        return ""
    if sample.grade is None:
        return "no grade in this text" if sample.reference_grade is not None else ""
    if sample.reference_grade is None:
        return f"grade {sample.grade}"
    off = sample.grade - sample.reference_grade
    return f"grade {sample.grade} {'= reference' if off == 0 else f'({off:+d} from reference)'}"
