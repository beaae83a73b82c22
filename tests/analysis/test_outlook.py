"""What is said of more rows: nothing is promised without what is to be said against it, at no width."""

import numpy as np
import pytest

from opeddev_tui.analysis.outlook import Outlook, outlook_of
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce


def run(step: int, loss: float, *, rate: float = 1e-5, epochs: int = 1, rows: int | None = None) -> RunState:
    """Return a step whose last epoch is its best; ``loss`` per token, of rows of unlike difficulty."""
    generator = np.random.default_rng(step)
    difficulty = np.random.default_rng(99).lognormal(0, 0.3, 50)
    sums = difficulty / difficulty.mean() * loss * 10 * generator.lognormal(0, 0.05, 50)
    events: list[ev.AnyEvent] = [
        ev.RunStarted(
            run=f"r{step}", step=step, batch=f"b{step}", rows=rows or 100 * (step + 1), holdout_rows=50,
            holdout_fingerprint="f", planned_epochs=2, max_epochs=4, seed=1, model="m",
        ),
        ev.DataPrepared(
            rows=100, tokens=1000, loss_tokens=100, steps_per_epoch=10, total_steps=20, batch_size=2, accumulation=1,
            learning_rate=rate,
        ),
    ]  # fmt: skip
    for epoch in range(1, epochs + 1):
        value = float(sums.sum() / 500) + 0.1 * (epochs - epoch)
        events += [
            ev.HoldoutEvaluated(epoch=epoch, loss=value, sums=tuple(map(float, sums)), tokens=(10,) * 50),
            ev.EpochFinished(epoch=epoch, train_loss=1, val_loss=value, samples_per_second=1, global_step=epoch),
        ]
    return reduce(events)


FALLING = [run(step, 4.0 * (100 * (step + 1)) ** -0.4) for step in range(4)]


def test_steps_that_differ_in_their_rows_alone_have_a_forecast() -> None:
    found = outlook_of(FALLING)
    assert not found.reservation
    assert found.promise.startswith("The next +100 rows ")
    assert found.forecast is not None
    assert found.words == found.promise


def test_gain_within_noise_promises_nothing() -> None:
    steps = [*FALLING, run(4, 4.0 * 400**-0.4 * 0.997)]
    found = outlook_of(steps)
    assert found.reservation.startswith("No forecast: the last 100 rows brought no gain beyond noise (")
    assert "hold-out loss 0.3" in found.reservation
    assert not found.promise
    assert found.forecast is None
    worse = outlook_of([*FALLING, run(4, 1.2)])
    assert worse.reservation.startswith("No forecast: the last 100 rows made it worse (")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": 3e-5}, "learning rate"),
        ({"epochs": 2}, "epochs trained"),
        ({"rate": 3e-5, "epochs": 2}, "learning rate and epochs trained"),
    ],
)
def test_steps_that_differ_in_more_than_rows_are_a_trend_alone(values: dict[str, float], said: str) -> None:
    steps = [run(0, 4.0 * 100**-0.4, **values), *FALLING[1:]]  # type: ignore[arg-type]
    found = outlook_of(steps)
    assert found.reservation == f"Not from rows alone: the steps also differ in {said}."
    assert found.promise.startswith("Were the trend of 4 steps to hold, hold-out loss 0.3")
    assert "should" not in found.words
    assert found.words.startswith(found.reservation)


def test_silence_where_nothing_is_known() -> None:
    assert outlook_of([]) == outlook_of(FALLING[:1]) == outlook_of(FALLING[:2]) == Outlook()


@pytest.mark.parametrize("width", range(20, 200, 7))
@pytest.mark.parametrize("lines", [1, 2, 3, 5])
def test_at_no_size_a_promise_is_seen_without_its_reservation(width: int, lines: int) -> None:
    reservation, promise = "Not from rows alone: the steps differ.", "Loss 0.683 would be 0.587 then."
    told = Outlook(reservation, promise, "Kappa per step: 0.12, 0.19.").lines(width, lines)
    assert len(told) <= lines
    assert all(len(line) <= width for line in told)
    shown = " ".join(told)
    assert shown.startswith(reservation[: len(shown)])
    assert ("0.587" in shown) <= (reservation in shown and promise in shown)
    # a promise without a reservation is left out where it would be cut
    alone = " ".join(Outlook(promise=promise).lines(width, lines))
    assert alone in (promise, "")
    assert alone == promise or width * lines < 2 * len(promise)
