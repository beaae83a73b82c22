"""Owns which generations can stand on a side: every point of this run and of the steps before it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opeddev_tui.runs.events import Sample, SamplesGenerated
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

Key = tuple[str, float, int, bool]


@dataclass(frozen=True)
class Point:
    """The generations of some weights. ``short`` is for the strip, ``label`` for a title."""

    key: Key
    step: int
    label: str
    short: str
    fingerprint: str
    samples: tuple[Sample, ...]
    loss: float | None = None
    writing: bool = False

    def answer(self, asked: Sample) -> Sample | None:
        """Return what was written for the prompt of ``asked``, None where it was not among the probes then."""
        return next((sample for sample in self.samples if sample.prompt == asked.prompt), None)


def points(previous: Sequence[RunState], state: RunState) -> list[Point]:
    """Return all points, oldest first; the last one is the newest of the run on show."""
    found: dict[Key, Point] = {}
    for run in (*previous, state):
        for point in _of_run(run):
            found[point.key] = point
    return list(found.values())


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
    known = {sample.prompt: sample for sample in last.samples} if last is not None else {}
    texts = tuple(
        _with_text(known.get(prompt) or Sample(prompt=prompt, reference="", text=""), text)
        for prompt, text in zip(streaming.prompts, streaming.texts, strict=True)
    )
    yield Point(
        (started.run, streaming.epoch, -1, True), started.step,
        f"being written: {streaming.finished} of {len(texts)} finished", "…", "", texts, writing=True,
    )  # fmt: skip


def _with_text(sample: Sample, text: str) -> Sample:
    return Sample(
        prompt=sample.prompt, reference=sample.reference, text=text, id=sample.id, kind=sample.kind,
        reference_grade=sample.reference_grade, own=sample.own,
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


def index_of(found: Sequence[Point], key: Key | None, default: int) -> int:
    """Return where the point with ``key`` is, else ``default``."""
    return next((at for at, point in enumerate(found) if point.key == key), default)


def before_step(found: Sequence[Point]) -> int:
    """Return where the run on show begins: the state before its step."""
    run = found[-1].key[0]
    return next(at for at, point in enumerate(found) if point.key[0] == run)


def same_weights(left: Point, right: Point) -> str:
    """Say it where both sides are the same weights; otherwise nothing."""
    if left.key == right.key:
        return "Left and right are the same generation: choose another point for one."
    if left.fingerprint and left.fingerprint == right.fingerprint:
        return f"Same weights on both sides ({clean_line(left.fingerprint)[:12]}): a model compared with itself."
    return ""
