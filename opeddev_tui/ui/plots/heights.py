"""Choose the range of the y axis: what the current step trains fills the plot. Pure: no widget."""

from __future__ import annotations

from collections.abc import Sequence

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.plots.canvas import Series
from opeddev_tui.ui.plots.downsample import column
from opeddev_tui.ui.plots.look import Look
from opeddev_tui.ui.plots.series import holdout_losses, holdout_points, train_columns


def heights(state: RunState, look: Look, x_range: tuple[float, float]) -> tuple[float, float] | None:
    """Return the range of losses of this step from its first epoch on, None where nothing is trained yet.

    The base model's loss is far above all that follows, and so is that of an earlier step: either would leave the step
    itself a few lines at the bottom. The loss before the step counts only where it is near.
    """
    if look.everything or not len(state.curves.loss):
        return None
    import numpy as np

    xs, losses = train_columns(state, look.by_step)
    train = losses[(xs >= x_range[0]) & (xs <= x_range[1]) & ~np.isnan(losses)]
    xs_holdout, ys = (column(values) for values in holdout_points(state, look.by_step))
    scored = ys[(xs_holdout > 0) & (xs_holdout >= x_range[0]) & (xs_holdout <= x_range[1]) & ~np.isnan(ys)]
    # the few largest losses of the first optimizer steps are no measure either
    ends = np.quantile(train, (0.005, 0.985)) if len(train) else train
    values = np.concatenate([ends, scored])
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    before = holdout_losses(state).get(0)
    if before is not None and x_range[0] <= 0 and 0 <= before - high <= (high - low) / 2:
        high = before
    return low, high


def cuts_off(series: Sequence[Series], drawn: tuple[float, float] | None) -> bool:
    """Return whether some point lies outside the range of losses that is drawn."""
    if drawn is None:
        return False
    import numpy as np

    # a few stray points of the raw train loss are no curve
    columns = [column(item.ys) for item in series if item.line]
    slack = 0.04 * (drawn[1] - drawn[0])
    return any(bool(np.any((ys > drawn[1] + slack) | (ys < drawn[0] - slack))) for ys in columns)


def in_sight(ys: Sequence[float], drawn: tuple[float, float] | None) -> bool:
    """Return whether enough of a curve is in view to be one: a lone mark would read as a value of its own."""
    if drawn is None:
        return True
    slack = 0.04 * (drawn[1] - drawn[0])
    return sum(drawn[0] - slack <= y <= drawn[1] + slack for y in ys) > 1
