"""One answer of a grader as text: grade, probabilities as bars, whether a person should look, and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from textual.content import Content

from opeddev_tui.format import plural, share
from opeddev_tui.runs.grade_words import graded_by, near_words, too_few
from opeddev_tui.runs.measured_grades import Measured
from opeddev_tui.serving.asked import Graded
from opeddev_tui.serving.worker_messages import Answered, Ready
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.widgets.code_text import coloured

_WIDEST_BAR = 40
_ASSUMED = 160
_OPTION = re.compile(r"--(task|rubric|kind)")


def answer_text(answer: Answered, ready: Ready | None, width: int, *, plain: bool, corrected: str = "") -> Content:
    """Return ``answer`` for ``width`` cells; ``plain``: for a terminal with ASCII only; ``corrected``: by a person."""
    graded = answer.graded
    parts = [_heading(answer, corrected)]
    if answer.problem or graded.grade is None:
        reason = answer.problem or " ".join(graded.why) or "it has no grade."
        parts.append(Content.styled(clean_line(f"No grade: {reason}", max_chars=400), "$text-warning"))
    parts += _bars(answer, width, "#" if plain else "█")
    parts += _sure(answer)
    parts += _ask(answer)
    if graded.feedback is not None:
        parts += [Content(""), Content.styled("Feedback", "bold $primary"), Content(clean(graded.feedback))]
    parts += _areas(answer, width)
    parts += _assumed(answer, ready)
    if submission := str(answer.fields.get("submission") or ""):
        kind = str(answer.fields.get("kind") or "")
        parts += [Content(""), Content.styled("Submission", "bold $primary"), coloured(submission, kind)]
    return Content("\n").join(parts)


def name_of(answer: Answered) -> str:
    """Return what to call a submission: its id, its file, else that it was pasted."""
    return clean_line(answer.graded.id or answer.graded.file or "pasted code", max_chars=200)


def _heading(answer: Answered, corrected: str) -> Content:
    graded = answer.graded
    parts = []
    if graded.grade is not None:
        parts.append(Content.styled(f"Grade {clean_line(graded.grade)}", "bold $primary"))
        if graded.grade != max(graded.probabilities, key=graded.probabilities.__getitem__, default=graded.grade):
            # the longest bar is another one
            parts.append(Content("the middle of the probabilities"))
    if graded.expected is not None:
        parts.append(Content(f"expected {graded.expected:.2f}"))
    if graded.reference:
        parts.append(Content(f"in its row {clean_line(graded.reference)}"))
    if corrected:
        parts.append(Content.styled(f"a person gave {clean_line(corrected)}", "bold $text-success"))
    return Content(" · ").join(parts) if parts else Content(name_of(answer))


def _bars(answer: Answered, width: int, block: str) -> Iterator[Content]:
    graded = answer.graded
    names, longest, room = _laid(answer, width)
    for label, chance in graded.probabilities.items():
        inside = "·" if label in graded.set else " "
        bar = (block * round(chance * room)).ljust(room)
        style = "bold $primary" if label == graded.grade else "$muted"
        line = (
            Content(f"{names[label]:>{longest}}{inside} ")
            + Content.styled(bar, style)
            + Content(f" {share(chance, 1):>6}")
        )
        yield line


def _laid(answer: Answered, width: int) -> tuple[dict[str, str], int, int]:
    """Return the names of the grades, the cells of the longest one, and those of a bar."""
    names = {label: clean_line(label, max_chars=12) for label in answer.graded.probabilities}
    longest = max((len(name) for name in names.values()), default=0)
    return names, longest, max(4, min(_WIDEST_BAR, width - longest - 10))


def _sure(answer: Answered) -> Iterator[Content]:
    graded = answer.graded
    parts = []
    if graded.set:
        parts.append(f"90% set {', '.join(clean_line(label) for label in graded.set)} (·)")
    if graded.confidence is not None:
        parts.append(f"confidence {graded.confidence:.2f} that it is {near_words(graded.tolerance)}")
    if graded.truncated:
        parts.append("cut: its middle was not read")
    if parts:
        yield Content(" · ".join(parts))
    if graded.measured is not None and graded.grade is not None:
        yield from _measured(graded.measured, graded.confidence)


def _measured(measured: Measured, confidence: float | None) -> Iterator[Content]:
    """Yield what the hold-out showed, as a warning where the confidence beside it is not what was measured."""
    low, high = measured.agreed.low, measured.agreed.high
    known = None not in (low, high, confidence) and not too_few(measured.rows)
    far = known and not low <= confidence <= high  # type: ignore[operator]  # none of them is None
    yield Content.styled(measured.agreement, "$text-warning" if far else "$muted")
    for words in filter(None, (measured.coverage, measured.warning)):
        yield Content.styled(clean_line(words, max_chars=400), "$text-warning")


def _ask(answer: Answered) -> Iterator[Content]:
    graded = answer.graded
    if answer.problem or graded.grade is None:
        return
    if not graded.ask:
        yield Content.styled("No person needs to look.", "$text-success")
        return
    yield Content.styled("Ask a person:", "bold $text-warning")
    for why in graded.why:
        # the command's options are fields here
        told = _OPTION.sub(r"the field \1", why)
        yield Content(f"  {clean_line(told, max_chars=300)}")


def _areas(answer: Answered, width: int) -> Iterator[Content]:
    criteria = answer.graded.criteria
    if not criteria:
        return
    yield Content("")
    yield Content.styled("Areas, with the probability that they failed", "bold $primary")
    # the probabilities stand below those of the grades
    _, longest, bar = _laid(answer, width)
    room = max(8, longest + bar)
    for name, item in sorted(criteria.items(), key=lambda pair: -pair[1].failed):
        mark, style = ("✓", "$text-success") if item.passed else ("✗", "$text-error-own")
        shown = clean_line(name, max_chars=room)
        yield Content.styled(f"{mark} ", style) + Content(f"{shown:{room}} {share(item.failed, 1):>6}")
    yield from (Content.styled(words, "$muted") for words in _about_areas(answer.graded))


def _about_areas(graded: Graded) -> Iterator[str]:
    """Yield what ✗ means, and that the grade is another reading where it says something else than their number."""
    failed = [item for item in graded.criteria.values() if not item.passed]
    limits = [item.limit for item in graded.criteria.values() if item.limit is not None]
    if limits:
        yield f"✗ from {share(limits[0])} on: the threshold that found the failed areas of your rows best."
    labels = list(graded.probabilities)
    off = len(labels) - 1 - labels.index(graded.grade) if graded.grade in labels else len(failed)
    if off != len(failed):
        below = f"{plural(off, 'grade')} below the best" if off else "the best grade"
        yield f"{plural(len(failed), 'area')} ✗, {below}: the grade is read separately, not counted from the ✗."


def _assumed(answer: Answered, ready: Ready | None) -> Iterator[Content]:
    yield Content("")
    for name, words in answer.graded.assumed.items():
        told = _OPTION.sub("typed", clean_line(words, max_chars=_ASSUMED))
        yield Content.styled(f"assumed {clean_line(name)}: {told}", "$muted")
    graded = answer.graded
    if by := graded_by(graded.way):
        yield Content.styled(by, "$muted")
    chosen = "" if graded.grader in ("", graded.checkpoint) else "chosen "
    words = f"{chosen}checkpoint {graded.checkpoint}, base model {graded.model}"
    yield Content.styled(clean_line(words, max_chars=200), "$muted")
    for note in ready.notes if ready is not None else ():
        yield Content.styled(clean_line(f"note: {note}", max_chars=300), "$muted")
