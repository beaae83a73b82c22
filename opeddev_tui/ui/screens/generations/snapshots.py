"""Points of the training whose generations can be compared: of this run and of the steps before it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from opeddev_tui.runs.events import Sample, SamplesGenerated
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

# run, epoch, optimizer step, made on demand
Key = tuple[str, float, int, bool]


@dataclass(frozen=True)
class Point:
    """What some weights generated. ``short`` is for the strip, ``label`` for a title."""

    key: Key
    step: int
    label: str
    short: str
    fingerprint: str
    samples: tuple[Sample, ...]
    loss: float | None = None
    # still being generated
    writing: bool = False

    def answer(self, asked: Sample) -> Sample | None:
        """Return what was generated for the prompt of ``asked``, None where it was not a probe prompt then."""
        return next((sample for sample in self.samples if sample.prompt == asked.prompt), None)


def points(previous: Sequence[RunState], state: RunState) -> list[Point]:
    """Return all points, oldest first; the last one is the newest of the run on show."""
    return list({point.key: point for run in (*previous, state) for point in _of_run(run)}.values())


def _of_run(state: RunState) -> Iterator[Point]:
    started = state.started
    if started is None:
        return
    for made in state.samples:
        if made.samples:
            yield _point(state, made, started.run, started.step, based=not started.parent)
    last = next((made for made in reversed(state.samples) if made.samples), None)
    streaming = state.streaming
    if streaming is None or state.over:
        return
    # the reference and the kind of a prompt are known from the generations before
    known = {sample.prompt: sample for sample in last.samples} if last is not None else {}
    texts = tuple(
        replace(known.get(prompt) or Sample(prompt=prompt, reference="", text=""), text=text, grade=None)
        for prompt, text in zip(streaming.prompts, streaming.texts, strict=True)
    )
    yield Point(
        (started.run, streaming.epoch, -1, True), started.step,
        f"being written: {streaming.finished} of {len(texts)} finished", "…", "", texts, writing=True,
    )  # fmt: skip


def _point(state: RunState, made: SamplesGenerated, run: str, step: int, *, based: bool) -> Point:
    number = f"{made.epoch:g}" if made.epoch == int(made.epoch) else f"{made.epoch:.2f}"
    if made.epoch == 0 and not made.on_demand:
        label = "base model" if based else f"before step {step}"
    else:
        label = f"step {step} epoch {number}"
    evaluated = state.holdout.get(int(made.epoch)) if made.epoch == int(made.epoch) else None
    return Point(
        (run, made.epoch, made.global_step, made.on_demand),
        step,
        label + (", asked for" if made.on_demand else ""),
        number + ("*" if made.on_demand else ""),
        made.fingerprint,
        made.samples,
        evaluated.loss if evaluated is not None else None,
    )


def _index_of(points: Sequence[Point], key: Key | None, default: int) -> int:
    """Return the index of the point with ``key``, else ``default``."""
    return next((at for at, point in enumerate(points) if point.key == key), default)


def _before_step(points: Sequence[Point]) -> int:
    """Return the index of the first point of the run on show: the state before its step."""
    run = points[-1].key[0]
    return next(at for at, point in enumerate(points) if point.key[0] == run)


class Pair:
    """The two points that are compared: those chosen, else the state before the step and the newest point."""

    def __init__(self, left: Key | None = None, right: Key | None = None) -> None:
        self.left, self.right = left, right
        self.points: list[Point] = []

    def places(self) -> tuple[int, int]:
        """Return the indices of the two points; there are points."""
        points = self.points
        return _index_of(points, self.left, _before_step(points)), _index_of(points, self.right, len(points) - 1)

    def chosen(self) -> tuple[Point, Point]:
        """Return the two points; there are points."""
        left, right = self.places()
        return self.points[left], self.points[right]

    def move_left(self, step: int) -> None:
        """Choose a later or an earlier point on the left."""
        at = max(0, min(self.places()[0] + step, len(self.points) - 1))
        self.left = self.points[at].key

    def choose_right(self, at: int) -> None:
        """Choose a point on the right; from the newest one on it follows the training."""
        self.right = None if at >= len(self.points) - 1 else self.points[max(0, at)].key


def same_weights(left: Point, right: Point) -> str:
    """Return a warning where both sides are of the same weights, else ""."""
    if left.key == right.key:
        return "Left and right are the same generation: choose another point for one."
    if left.fingerprint and left.fingerprint == right.fingerprint:
        return f"Same weights on both sides ({clean_line(left.fingerprint)[:12]}): a model compared with itself."
    return ""
