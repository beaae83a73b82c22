"""Choose training rows to hold a head steady with, and change each by one comment that is no reason for a grade.

What is chosen depends on the rows' texts alone: while rows are added, most copies stay the same, and their features
are known. Takes training rows only; reads no model.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.corrections import row_hash
from opeddev_tui.data.rows import Example
from opeddev_tui.grading.graded_rows import GradedRows
from opeddev_tui.grading.robustness import COMMENTS, changed_examples
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import Encoder, GradeRow, grade_rows

Singles = NDArray[np.float32]
# more copies change little
MOST_COPIES = 100
NO_COMMENT = "no training row has a user's message that could take a comment."
_LONGEST_RUBRIC = 600


class Copies(Struct, frozen=True):
    """Changed copies of graded training rows as tokens: ``rows[i]`` is a copy of the row at ``places[i]``.

    ``missing`` says why there are none though ``grading.steady`` asks for some.
    """

    places: tuple[int, ...] = ()
    rows: tuple[GradeRow, ...] = ()
    missing: str = ""

    def moves(self, features: Singles, changed: Singles) -> Singles:
        """Return how features move, [m, d]: ``changed`` less those of the same rows among ``features`` [n, d]."""
        return np.asarray(changed - features[list(self.places)], dtype=np.float32)


def steadying_copies(rows: GradedRows, scale: Scale, grading: Grading, encoder: Encoder, max_length: int) -> Copies:
    """Return copies of the training ``rows`` to steady a head with; none unless ``grading.steady`` is set.

    A copy that is longer than ``max_length`` tokens is cut as it would be when it is graded.
    """
    if not grading.steady:
        return Copies()
    used = np.flatnonzero(rows.labels.used).tolist()
    changed = steadying_examples(
        [rows.examples[place] for place in used], scale.labels[-1], [rows.prompts[place] for place in used]
    )
    # a prompt without a user's message does not change
    changed = [(place, copy) for place, copy in changed if copy.prompt != rows.examples[used[place]].prompt]
    if not changed:
        return Copies(missing=NO_COMMENT)
    tokens = grade_rows(encoder, [copy for _, copy in changed], max_length=max_length)
    return Copies(tuple(used[place] for place, _ in changed), tuple(tokens))


def steadying_examples(
    examples: Sequence[Example], best: str, frames: Sequence[str], *, count: int = MOST_COPIES
) -> list[tuple[int, Example]]:
    """Return (place, changed example) of up to ``count`` examples, each with one comment that is no reason.

    ``best`` is the highest grade as it is written; ``frames`` are the prompts without their submissions, for the
    comment that copies the rubric. The hash of a row decides whether it is taken, and which comment it gets.
    """
    hashes = [int(row_hash(example), 16) for example in examples]
    chosen = sorted(range(len(examples)), key=lambda place: (hashes[place], place))[:count]
    found: list[tuple[int, Example]] = []
    for place in sorted(chosen):
        change = COMMENTS[hashes[place] % len(COMMENTS)]
        rubric = frames[place][:_LONGEST_RUBRIC]
        found += [(place, changed) for _, changed in changed_examples([examples[place]], change, best, [rubric])]
    return found
