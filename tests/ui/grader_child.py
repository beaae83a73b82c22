"""A process that grades, as far as the screen knows one: it answers at once, or when a test lets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.measured_grades import Measured
from opeddev_tui.serving.asked import Criterion, Graded
from opeddev_tui.serving.worker_messages import (
    Answered,
    Asks,
    Begun,
    Done,
    Failed,
    Loading,
    Ready,
    Request,
    Said,
)
from opeddev_tui.ui.tasks.grader import GraderTasks

LABELS = ("1", "2", "3", "4", "5")


def graded(number: int, *, file: str = "", shift: int = 0, feedback: str | None = None) -> Graded:
    """Return an answer whose grade follows from ``number``."""
    place = (number + shift) % 5
    rest = dict.fromkeys(LABELS, 0.08)
    chances = {**rest, LABELS[place]: 0.68}
    ask = number % 3 == 2
    return Graded(
        index=number,
        file=file,
        grade=LABELS[place],
        expected=float(place + 1),
        median=LABELS[place],
        probabilities=chances,
        set=tuple(LABELS[max(0, place - 1) : place + 2]),
        confidence=0.5 + number % 5 / 10,
        tolerance=1,
        ask=ask,
        why=(
            "confidence 0.50 is below 0.71, the threshold: of 50 hold-out rows 28 passed one that was chosen without "
            "them, and 93% of those agreed with people (90% wanted).",
        )
        if ask
        else (),
        criteria={"Layout": Criterion(0.81, False, 0.38), "Naming": Criterion(0.07, True, 0.38)},
        feedback=feedback,
        assumed={"task": "Make a page. (the commonest of the training rows)"},
        checkpoint="20260101-000000-step0-base/checkpoint-75",
        model="Qwen/Qwen3-0.6B",
        way="step head",
        measured=Measured(50, 1, Figure(0.66, 0.52, 0.78), Figure(0.76, 0.63, 0.86)),
    )


class FakeChild:
    """Answers requests: a text at once, a path with ``files`` submissions."""

    def __init__(self, source: str, texts: bool, heard: Callable[[Said], None], beside: bool) -> None:
        self.source, self.texts, self.heard, self.beside = source, texts, heard, beside
        self.asked: list[Asks] = []
        self.ended = False
        self.files = 4
        self.shift = 0
        self.answers_at_once = True
        # fields for which no text is known
        self.empty: tuple[str, ...] = ()
        # what grades, where that is not the checkpoint
        self.grader = ""

    def get_ready(self) -> None:
        self.heard(Loading("loading the checkpoint"))
        self.heard(
            Ready(
                checkpoint=self.source or "20260101-000000-step0-base/checkpoint-75",
                grader=self.grader,
                model="Qwen/Qwen3-0.6B",
                labels=LABELS,
            )
        )

    def say(self, what: Asks) -> None:
        self.asked.append(what)
        if isinstance(what, Request) and self.answers_at_once:
            self.answer(what)

    def answer(self, what: Request) -> None:
        if what.path == "missing":
            self.heard(Failed(what.id, "missing: there is no such file or folder."))
            return
        count = self.files if what.path else 1
        self.heard(Begun(what.id, count))
        for number in range(count):
            self.one(what, number)
        self.heard(Done(id=what.id, count=count, skipped="binary files (1)" if what.path else ""))

    def one(self, what: Request, number: int) -> None:
        text = what.text or str(what.fields.get("submission") or f"<p>page {number}</p>")
        fields: dict[str, Any] = {"kind": "html", "task": "Make a page.", "rubric": "Layout", "submission": text}
        fields |= dict.fromkeys(self.empty, "")
        file = f"{what.path}/page{number}.html" if what.path else ""
        feedback = "Layout: the card is not centred." if what.feedback else None
        one = replace(graded(number, file=file, shift=self.shift, feedback=feedback), grader=self.grader)
        self.heard(Answered(id=what.id, number=number, graded=one, fields=fields))

    def end(self) -> None:
        self.ended = True


class FakeChildren:
    """Takes the place of ``GraderTasks.open``; keeps every child."""

    def __init__(self) -> None:
        self.opened: list[FakeChild] = []
        self.ready_at_once = True
        self.prepare: Callable[[FakeChild], None] = lambda _child: None

    def open(
        self,
        tasks: GraderTasks,
        source: str,
        *,
        texts: bool,
        heard: Callable[[Said], None],
        ended: Callable[[str], None],  # noqa: ARG002 - as the real one
    ) -> FakeChild:
        beside = tasks._shell.session.trained_by != "none"
        child = FakeChild(source, texts, heard, beside)
        self.opened.append(child)
        self.prepare(child)
        if self.ready_at_once:
            tasks._shell.call_later(child.get_ready)  # type: ignore[attr-defined]  # the app itself
        return child
