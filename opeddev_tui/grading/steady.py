"""Make a head steady: shrink the directions in which features move when a submission changes without reason.

Differences of features before and after such changes (comments, pleas, padding) span the directions; no grades are
needed. Each is shrunk by 1 / √(1 + s² / ν), s its strength: the ridge prior that holds a score's moves along them small
(nuisance attribute projection, Solomonoff and others 2005, in its soft form). A linear map, so a head stays linear.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.data.rows import Example
from opeddev_tui.grading.robustness import COMMENTS, changed_examples

Floats = NDArray[np.float64]
# rows whose changed copies are read: more change little
STEADYING_ROWS = 100
_LONGEST_RUBRIC = 600


class Steadying(Struct, frozen=True):
    """``directions`` [m, d], orthonormal, and the share [m] that is taken from each."""

    directions: Floats
    taken: Floats

    def apply(self, vectors: Floats) -> Floats:
        """Return ``vectors`` [n, d] (features or, the map being symmetric, weights) with the directions shrunk."""
        return np.asarray(vectors - ((vectors @ self.directions.T) * self.taken) @ self.directions, dtype=np.float64)


def steadying(differences: Floats) -> Steadying:
    """Return the map for standardised ``differences`` [m, d] of features; ν is the mean square of their strengths."""
    _, strengths, directions = np.linalg.svd(differences, full_matrices=False)
    level = float((strengths**2).mean())
    known = strengths > 1e-9 * max(1.0, float(strengths.max(initial=0.0)))
    taken = 1 - 1 / np.sqrt(1 + strengths[known] ** 2 / max(level, 1e-12))
    return Steadying(directions[known], taken)


def steadying_examples(
    examples: Sequence[Example], best: str, frames: Sequence[str], *, count: int = STEADYING_ROWS, seed: int = 0
) -> list[tuple[int, Example]]:
    """Return (place, changed example) of up to ``count`` examples, each with one comment that is no reason.

    ``frames``: the prompts without their submissions, for the comment that copies the rubric. The features of the
    changed less those of the plain examples are the differences to steady against.
    """
    generator = np.random.default_rng(seed)
    chosen = sorted(generator.permutation(len(examples))[:count].tolist())
    found: list[tuple[int, Example]] = []
    for place in chosen:
        change = COMMENTS[int(generator.integers(len(COMMENTS)))]
        rubric = frames[place][:_LONGEST_RUBRIC]
        found += [(place, changed) for _, changed in changed_examples([examples[place]], change, best, [rubric])]
    return found
