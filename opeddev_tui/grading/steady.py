"""Make a head steady: shrink the directions in which features move when a submission changes without reason.

Differences of features before and after such changes (comments, pleas, padding) span the directions; no grades are
needed. Each is shrunk by 1 / √(1 + s² / ν), s its strength: the ridge prior that holds a score's moves along them small
(nuisance attribute projection, Solomonoff and others 2005, in its soft form). A linear map, so a head stays linear.
Which rows are changed, and how, is chosen in ``steady_rows``.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
