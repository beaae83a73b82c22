"""Whether a head's out-of-fold figures hold on rows that neither it nor the model was trained on.

Out-of-fold figures of a frozen model are honest by construction. Features of rows that a model has trained on are
partly remembered, so there the claim is measured against the hold-out, and said.
"""

import math
from collections.abc import Mapping

from msgspec import Struct

from opeddev_tui.format import capital
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.runs.grade_words import CLAIMS_TOO_MUCH, on_rows, too_few


class Claim(Struct, frozen=True):
    """Whether the rows of the fit show no more than the hold-out; ``words`` say it."""

    holds: bool
    words: str


def check_claim(
    out_of_fold: Mapping[str, Estimate],
    holdout: Mapping[str, Estimate],
    rows: int,
    *,
    remembered: bool,
) -> Claim:
    """Return whether kappa out of fold is more than the ``rows`` of the hold-out show, beyond the doubt of both.

    ``remembered``: the model has trained on the rows of the fit.
    """
    one, other = out_of_fold["kappa"], holdout["kappa"]
    source = "the model has trained on these rows" if remembered else "the model has not trained on these rows"
    if any(math.isnan(value) for item in (one, other) for value in (item.value, item.low, item.high)):
        return Claim(not remembered, f"Out of fold and hold-out cannot be compared; {source}.")
    # the rows are different ones, so the squared half widths add up
    reach = math.hypot((one.high - one.low) / 2, (other.high - other.low) / 2)
    told = f"kappa {one.value:.2f} out of fold, {other.value:.2f} on {on_rows(rows)}; {source}"
    if too_few(rows):
        return Claim(not remembered, f"{capital(told)}.")
    if one.value - other.value > reach:
        return Claim(False, f"{CLAIMS_TOO_MUCH}: {told}. Trust the hold-out.")
    return Claim(True, f"The head's claim holds: {told}.")
