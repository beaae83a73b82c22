"""What recorded grades of the step's own model say: how far it is from the right grades, and from epoch to epoch.

The distance of a row is that expected by its probabilities, in grades. Two epochs are compared in one way of reading
and on the same rows. The head on the base model is no evidence: it is the same after every epoch. Pure functions.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from opeddev_tui.runs.events import GradesRead

# ways that read the step's own model, the more telling one first
OWN_WAYS = ("step head", "step tokens")


class GradeDistances(Struct, frozen=True):
    """The expected distance of each row from its right grade, and the kappa where it has one."""

    way: str
    words: str
    distances: tuple[float, ...]
    kappa: float | None = None

    @property
    def mean(self) -> float:
        """The mean distance in grades."""
        return sum(self.distances) / len(self.distances)


def distances_of(read: GradesRead, way: str) -> GradeDistances | None:
    """Return the distances of the rows by ``way``; None where it was not read or has no probabilities."""
    found = read.by(way)
    if found is None or not found.probabilities:
        return None
    rows = zip(found.probabilities, read.reference, strict=True)
    distances = tuple(_distance(chances, read.labels.index(right)) for chances, right in rows)
    kappa = found.figures.get("kappa")
    return GradeDistances(way, found.words, distances, kappa.value if kappa is not None else None)


def _distance(chances: Sequence[float], right: int) -> float:
    return sum(chance * abs(place - right) for place, chance in enumerate(chances))


def common_way(readings: Iterable[GradesRead]) -> str:
    """Return the way in which all ``readings`` have read the step's model, on the same rows; empty where none."""
    every = list(readings)
    same_rows = len({(read.ids, read.reference, read.labels) for read in every}) == 1
    return next(
        (way for way in OWN_WAYS if same_rows and all(distances_of(read, way) is not None for read in every)), ""
    )


def best_by_grade(readings: Mapping[int, GradesRead], way: str, epochs: Iterable[int]) -> int | None:
    """Return which of ``epochs`` has the least mean distance by ``way``, the earliest among equals, None if none."""
    found = [
        (item.mean, epoch)
        for epoch in epochs
        if epoch in readings and (item := distances_of(readings[epoch], way)) is not None
    ]
    return min(found)[1] if found else None
