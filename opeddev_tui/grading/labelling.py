"""Choose which ungraded rows to grade next, and propose a grade for each.

Copies of rows that are there already are left out and counted. The choice depends on rows and seed alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import leakage
from opeddev_tui.data.corrections import row_hash
from opeddev_tui.data.rows import Example
from opeddev_tui.data.ungraded import Candidate
from opeddev_tui.grading import proposals, step_head
from opeddev_tui.grading.graded_rows import GradedRows, areas_of_rows, graded_rows, prompt_frame
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.scale import Scale

Singles = NDArray[np.float32]
# reads features [n, d] of rows
ReadFeatures = Callable[[Sequence[Example]], Singles]
# with more candidates, clusters are looked for among so many drawn at random: each costs a forward pass
MOST_READ = 2000


class Known(Struct, frozen=True):
    """The rows that there are: training, hold-out, sealed test set, and rows that were proposed before."""

    train: Sequence[Example]
    holdout: Sequence[Example] = ()
    test: Sequence[Example] = ()
    proposed: Sequence[Example] = ()


class Chosen(Struct, frozen=True):
    """The rows to grade, as they are to be written; ``how`` they were chosen, and whether grades are proposed."""

    rows: list[dict[str, Any]]
    how: str
    graded: bool


def without_copies(
    candidates: Sequence[Candidate], known: Known, near_duplicate: float
) -> tuple[list[Candidate], Counter[str]]:
    """Return the candidates that are new, and how many were left out as copies of what."""
    left = list(candidates)
    counts = Counter[str]()
    for words, rows in (
        ("copies of training rows", known.train),
        ("copies of hold-out rows", known.holdout),
        ("copies of test rows", known.test),
        ("copies of rows that are proposed already", known.proposed),
    ):
        copies = leakage.copies([item.example for item in left], rows, near_duplicate) if rows and left else []
        if any(copies):
            counts[words] = sum(copies)
            left = [item for item, is_copy in zip(left, copies, strict=True) if not is_copy]
    seen: dict[str, Candidate] = {}
    for item in left:
        seen.setdefault(leakage.text_key(item.example), item)
    if len(seen) < len(left):
        counts["copies of each other"] = len(left) - len(seen)
    return list(seen.values()), counts


def choose(
    candidates: Sequence[Candidate],
    train: Sequence[Example],
    count: int,
    settings: Settings,
    read: ReadFeatures,
    *,
    seed: int = 0,
) -> Chosen:
    """Return up to ``count`` of ``candidates`` to grade next: clusters for the first rows, then at random.

    ``read`` is called with as few rows as needed.
    """
    graded = graded_rows(train, Scale.of(settings.grading))
    is_first = len(graded.examples) < proposals.FIRST_ROWS and len(candidates) > count
    pool = _drawn(candidates, max(MOST_READ, count), seed) if is_first else list(candidates)
    known = read(graded.examples) if graded.examples else None
    features = read([item.example for item in pool]) if is_first else None
    # a draw at random looks at the number of graded rows alone
    ungraded = features if features is not None else np.zeros((len(pool), 1), np.float32)
    cover = known if known is not None and is_first else np.zeros((len(graded.examples), ungraded.shape[1]), np.float32)
    keys = [row_hash(item.example) for item in pool]
    picked = proposals.propose(ungraded, cover, count, seed=seed, keys=keys)
    rows = [pool[place] for place in picked.rows]
    if known is None or cannot_fit(graded.labels):
        return Chosen([dict(item.fields) for item in rows], picked.how, graded=False)
    mine = features[picked.rows] if features is not None else read([item.example for item in rows])
    return Chosen(_with_grades(rows, mine, graded, known, settings), picked.how, graded=True)


def _drawn(candidates: Sequence[Candidate], most: int, seed: int) -> list[Candidate]:
    if len(candidates) <= most:
        return list(candidates)
    drawn = np.random.default_rng(seed).permutation(len(candidates))[:most]
    return [candidates[place] for place in np.sort(drawn).tolist()]


def _with_grades(
    rows: Sequence[Candidate], features: Singles, graded: GradedRows, known: Singles, settings: Settings
) -> list[dict[str, Any]]:
    """Return the rows as they are to be written, with the grade that a head fitted on ``graded`` rows would give."""
    scale = Scale.of(settings.grading)
    # plain whatever grading.steady says: a person sees each row, and up to 100 more would be read for a proposal
    heads = step_head.fit_step(known, graded, scale, areas_of_rows(graded, scale, settings.grading))
    examples = [item.example for item in rows]
    read = step_head.read(heads, features, [item.kind for item in examples], [prompt_frame(item) for item in examples])
    return [
        {**item.fields, "proposed": {"grade": scale.labels[grade], "probabilities": _named(chances, scale)}}
        for item, grade, chances in zip(rows, read.grades.median.tolist(), read.grades.probabilities, strict=True)
    ]


def _named(probabilities: NDArray[np.float64], scale: Scale) -> Mapping[str, float]:
    return {label: round(float(chance), 4) for label, chance in zip(scale.labels, probabilities, strict=True)}
