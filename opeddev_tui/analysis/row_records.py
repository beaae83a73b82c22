"""What is recorded of single rows: losses and grades of hold-out rows, and how a row was encoded. Pure.

Of training rows a run records no loss one by one; what a race disputes of them is handed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from opeddev_tui.data.rows import Example
from opeddev_tui.runs.state import RunState


class RowRecord(Struct, frozen=True):
    """What is known of one row: ``losses`` (nats per token) and ``grades`` by epoch, as the scale counts them.

    ``surprise`` is how strongly a race's head disputed its grade (0: not at all), ``head`` the grade that it gave.
    """

    losses: dict[int, float] = {}
    grades: dict[int, int | None] = {}
    surprise: float = 0.0
    head: int | None = None

    @property
    def loss(self) -> float | None:
        """The newest loss."""
        return self.losses[max(self.losses)] if self.losses else None

    @property
    def read(self) -> int | None:
        """The grade that was read after the newest epoch, else by a race's head, None where none was."""
        return self.grades[max(self.grades)] if self.grades else self.head

    def disagreement(self, example: Example) -> float | None:
        """Return how far grades of the row are apart, in grades: read and given, else given by several people.

        None where there is nothing to compare.
        """
        if self.read is not None and example.grade is not None:
            return float(abs(self.read - example.grade))
        if len(example.grades) > 1:
            return float(max(example.grades) - min(example.grades))
        return None


def holdout_records(state: RunState, version: str, examples: Sequence[Example]) -> tuple[dict[int, RowRecord], str]:
    """Return the records of each hold-out row, by index, and why there are none ("" where there are some).

    ``version`` is the fingerprint of the hold-out as it is now: losses of other rows would be told of the wrong ones.
    """
    if state.started is None:
        return {}, "no run has scored these rows yet"
    if state.started.holdout_fingerprint != version:
        return {}, "the run on show was scored on another hold-out"
    losses: list[dict[int, float]] = [{} for _ in examples]
    for epoch, scored in sorted(state.holdout.items()):
        # rows that did not fit have no loss, and a journal does not say which they are
        if len(scored.sums) == len(examples):
            for row, total, tokens in zip(losses, scored.sums, scored.tokens, strict=True):
                row[epoch] = total / max(tokens, 1)
    grades = _grades(state, examples)
    known = {at: RowRecord(losses[at], grades[at]) for at in range(len(examples)) if losses[at] or grades[at]}
    fit = not state.holdout or any(losses)
    return known, "" if fit else "rows were left out of the scoring, so losses cannot be told row by row"


def _grades(state: RunState, examples: Sequence[Example]) -> list[dict[int, int | None]]:
    found: list[dict[int, int | None]] = [{} for _ in examples]
    graded = [at for at, example in enumerate(examples) if example.grade is not None]
    named = Counter(examples[at].id for at in graded)
    by_id = {examples[at].id: at for at in graded if examples[at].id and named[examples[at].id] == 1}
    for epoch, measured in sorted(state.grades.items()):
        in_order = len(measured.predicted) == len(graded)
        for place, grade in enumerate(measured.predicted):
            name = measured.ids[place] if place < len(measured.ids) else ""
            at = by_id.get(name, graded[place] if in_order else None)
            if at is not None:
                found[at][epoch] = grade
    return found


# --- how training encodes a row


class Part(Struct, frozen=True):
    """A piece of an encoded row: "prompt", "cut" (without text: that many tokens are left out), "loss", "grade".

    ``marks`` are the places (start, stop) in ``text`` of special tokens, not of text that only looks like one.
    """

    kind: str
    text: str
    tokens: int
    marks: tuple[tuple[int, int], ...] = ()


class EncodedText(Struct, frozen=True):
    """A row as the model sees it: its parts in order, ``note`` on what is unusual, or the ``problem`` with it."""

    parts: tuple[Part, ...] = ()
    max_length: int = 0
    weight: float = 1.0
    note: str = ""
    problem: str = ""

    def tokens(self, *kinds: str) -> int:
        """Return how many tokens the parts of some kinds have."""
        return sum(part.tokens for part in self.parts if part.kind in kinds)


class AskedRow(Struct, frozen=True):
    """A row to be encoded, as it is asked for; ``trained``: as a training row, so that weights count."""

    example: Example
    trained: bool
