"""How often a threshold of confidence is borne out falsely where rows come in groups, in simulations.

Rows of a group (an author) share most of how sure the grader is of them and most of whether it is right. Prints, by
hold-out rows and rows per group: how often a confidence that tells nothing gets a threshold at 90% agreement although
only 80% agree, checked without and with the groups; then how often an honest confidence gets a threshold, and how often
one that lets less than 87% agreement pass.

    python benchmarks/grading_thresholds.py --draws 1000
"""

import argparse

import numpy as np
from scipy.stats import norm

from opeddev_tui.grading.calibration import grading_alone
from opeddev_tui.grading.ordinal import Grades

WANTED = 90
# the agreement of all grades where the confidence tells nothing, and one that a threshold should not fall below
PLAIN, BAD = 0.80, 0.87
# the part of the variance that rows of a group have in common
SHARED = 0.9
ROWS, SIZES = (50, 100, 300), (1, 5, 10, 25)


def confidences(uniform: np.ndarray) -> np.ndarray:
    """Return confidences between 0.55 and 0.99 for ``uniform`` draws [n]."""
    return 0.55 + 0.44 * np.sqrt(uniform)


def sample(draw: np.random.Generator, rows: int, size: int, *, honest: bool) -> tuple[Grades, np.ndarray, list[str]]:
    """Return grades on a scale of two, the right ones (0 is what is given), and the group of each row."""
    member = np.repeat(np.arange(rows // size), size)
    shared = SHARED if size > 1 else 0.0

    def uniform() -> np.ndarray:
        common = draw.standard_normal(rows // size)[member]
        return np.asarray(norm.cdf(np.sqrt(shared) * common + np.sqrt(1 - shared) * draw.standard_normal(rows)))

    confidence = confidences(uniform())
    right = uniform() < (confidence if honest else PLAIN)
    chances = np.stack([confidence, 1 - confidence], axis=1)
    return Grades(chances), (~right).astype(np.int64), [str(number) for number in member]


def honest_agreement(threshold: float) -> float:
    """Return the agreement of all rows from ``threshold`` on where the confidence is honest."""
    every = confidences(np.linspace(0, 1, 20_001))
    return float(every[every >= threshold].mean())


def measured(rows: int, size: int, draws: int, *, honest: bool, grouped: bool) -> tuple[float, float]:
    """Return the share of ``draws`` with a threshold, and that of those with a bad one."""
    draw, thresholds = np.random.default_rng(0), []
    for _ in range(draws):
        grades, right, groups = sample(draw, rows, size, honest=honest)
        found = grading_alone(grades, right, (WANTED,), groups=groups if grouped else ())[WANTED].chosen
        if found is not None:
            thresholds.append(found.threshold)
    bad = [each for each in thresholds if not honest or honest_agreement(each) < BAD]
    return len(thresholds) / draws, len(bad) / draws


def main() -> None:
    """Print a line per number of rows and size of the groups."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print("rows  per group   tells nothing: rows, groups   honest, any: rows, groups   honest, bad: rows, groups")
    for rows in ROWS:
        for size in SIZES:
            (useless, _), (useless_by, _) = (
                measured(rows, size, draws, honest=False, grouped=grouped) for grouped in (False, True)
            )
            (found, bad), (found_by, bad_by) = (
                measured(rows, size, draws, honest=True, grouped=grouped) for grouped in (False, True)
            )
            cells = [
                f"{one:12.1%} {other:8.1%}" for one, other in ((useless, useless_by), (found, found_by), (bad, bad_by))
            ]
            print(f"{rows:4} {size:10}   {'     '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
