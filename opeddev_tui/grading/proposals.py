"""Propose which ungraded rows to label next.

For the first rows: the most typical row of each large cluster that has no graded row yet (TypiClust, Hacohen and others
2022), which helped with 100 rows. After that rows are drawn at random: nothing else was shown to be better.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# with fewer graded rows than this, clusters choose
FIRST_ROWS = 100
_NEIGHBOURS = 20
_MOST_CLUSTERS = 500
_COMPONENTS = 50


class Proposal(Struct, frozen=True):
    """Which ungraded ``rows`` to label, in order of use, and how they were chosen: clusters or random."""

    rows: list[int]
    how: str


def propose(
    ungraded: NDArray[np.floating], graded: NDArray[np.floating], count: int, *, seed: int = 0, keys: Sequence[str] = ()
) -> Proposal:
    """Return up to ``count`` rows of ``ungraded`` features [n, d], given those of the ``graded`` rows [m, d].

    ``keys`` (such as row hashes) tell copies: of equal rows one is proposed.
    """
    rows = np.sort(np.unique(np.asarray(keys), return_index=True)[1]) if keys else np.arange(len(ungraded))
    generator = np.random.default_rng(seed)
    if len(graded) >= FIRST_ROWS or len(rows) <= count:
        chosen = generator.permutation(rows)[:count]
        return Proposal([int(row) for row in chosen], "random")
    typical = _typical(_reduced(np.concatenate([ungraded[rows], graded])), len(rows), count, seed)
    return Proposal([int(rows[place]) for place in typical], "clusters")


def _reduced(features: NDArray[np.floating]) -> Floats:
    """Return standardised features on their main directions: distances in thousands of dimensions are noise."""
    from sklearn.decomposition import PCA

    spread = (features - features.mean(0)) / (features.std(0) + 1e-6)
    parts = min(_COMPONENTS, *spread.shape)
    return np.asarray(PCA(parts, random_state=0).fit_transform(spread), dtype=np.float64)


def _typical(points: Floats, ungraded: int, count: int, seed: int) -> list[int]:
    """Return ``count`` of the first ``ungraded`` points; the rest are graded and cover their clusters."""
    from sklearn.cluster import KMeans

    different = len(np.unique(points.round(6), axis=0))
    clusters = min(len(points) - ungraded + count, _MOST_CLUSTERS, different)
    labels = KMeans(clusters, n_init=1, random_state=seed).fit_predict(points)
    covered = np.bincount(labels[ungraded:], minlength=clusters)
    members = {cluster: _densest_first(points, labels, cluster, ungraded) for cluster in range(clusters)}
    sizes = np.bincount(labels, minlength=clusters)
    chosen: list[int] = []
    while len(chosen) < count and any(members.values()):
        # the least covered cluster, among these the largest
        best = min((cluster for cluster in members if members[cluster]), key=lambda item: (covered[item], -sizes[item]))
        chosen.append(members[best].pop(0))
        covered[best] += 1
    return chosen


def _densest_first(points: Floats, labels: NDArray[np.int32], cluster: int, ungraded: int) -> list[int]:
    inside = np.flatnonzero(labels == cluster)
    distances = np.linalg.norm(points[inside][:, None] - points[inside][None], axis=2)
    near = np.sort(distances, axis=1)[:, 1 : _NEIGHBOURS + 1]
    sparse = near.mean(1) if near.shape[1] else np.zeros(len(inside))
    return [int(place) for place in inside[np.argsort(sparse, kind="stable")] if place < ungraded]
