"""Grades as evidence: distances, the rule by grade, the best epoch and the forecast that follow it."""

import random

import pytest
from test_early_stopping import history

from opeddev_tui.analysis import grade_evidence
from opeddev_tui.analysis.early_stopping import Limits, judge
from opeddev_tui.analysis.forecast import forecast_of
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure, WayGrades
from opeddev_tui.runs.state import RunState, reduce

LABELS = ("D", "C", "B", "A")
REFERENCE = ("D", "C", "B", "A") * 10
BY_GRADE = Limits(planned_epochs=2, max_extra_epochs=3, metric="grade")


def way(skill: float, name: str = "step tokens", *, seed: int = 0) -> WayGrades:
    """A way that gives the right grade ``skill``, and the rest to all grades alike, a little unevenly by row."""
    draw = random.Random(seed)
    chances = []
    for right in REFERENCE:
        share = skill + draw.uniform(-0.05, 0.05)
        chances.append(tuple(share * (label == right) + (1 - share) / 4 for label in LABELS))
    found = {"kappa": Figure(skill), "expected_distance": Figure(1.25 * (1 - skill))}
    return WayGrades(name, f"the {name}", REFERENCE, tuple(chances), figures=found)


def grades(epoch: int, *ways: WayGrades, ids: tuple[str, ...] = tuple(map(str, range(40)))) -> ev.GradesRead:
    return ev.GradesRead(epoch=epoch, labels=LABELS, ids=ids, reference=REFERENCE, ways=ways)


def readings(*skills: float) -> dict[int, ev.GradesRead]:
    return {epoch: grades(epoch, way(0.9, "base head"), way(skill)) for epoch, skill in enumerate(skills)}


def test_a_row_is_as_far_from_its_grade_as_its_probabilities_expect() -> None:
    one = WayGrades("step head", "the head", ("D", "A"), ((1.0, 0, 0, 0), (0.5, 0, 0, 0.5)))
    read = ev.GradesRead(epoch=1, labels=LABELS, ids=("a", "b"), reference=("D", "A"), ways=(one,))
    found = grade_evidence.distances_of(read, "step head")
    assert found is not None
    assert (found.distances, found.mean, found.kappa) == ((0.0, 1.5), 0.75, None)
    assert grade_evidence.distances_of(read, "step tokens") is None


@pytest.mark.parametrize(
    ("skills", "choice", "compared"),
    [
        ([0.1, 0.2, 0.3, 0.4], "continue", 2),
        ([0.1, 0.2, 0.3, 0.3], "stop", 2),  # a tie is no improvement
        ([0.1, 0.4, 0.3, 0.35], "stop", 1),  # against the best, not the one before
        ([0.5, 0.2, 0.3, 0.4], "stop", 0),  # before the step counts as a best
    ],
)
def test_the_rule_goes_by_grade_whatever_the_loss_does(skills: list[float], choice: str, compared: int) -> None:
    for losses in ([3, 2, 1.5, 1.4], [3, 2, 1.5, 1.6]):
        verdict = judge(3, history(*losses), BY_GRADE, {}, readings(*skills))
        assert (verdict.choice, verdict.metric, verdict.grade_way) == (choice, "grade", "step tokens")
        assert verdict.grade_compared_with == compared
        assert verdict.grade_improved == (choice == "continue")
        assert verdict.loss_improved == (losses[-1] < 1.5)
        assert verdict.grade_difference == pytest.approx(1.25 * (skills[-1] - skills[compared]))
        assert verdict.grade_interval is not None
        assert verdict.reasons[0].startswith("grades by the step tokens: their distance from the right ones")
        assert f"kappa {skills[compared]:.2f} then, {skills[-1]:.2f} now" in verdict.reasons[0]
        assert verdict.reasons[1].startswith("hold-out loss")


def test_with_the_loss_as_metric_the_grades_stand_beside_it_and_decide_nothing() -> None:
    limits = Limits(planned_epochs=2, max_extra_epochs=3)
    verdict = judge(3, history(3, 2, 1.5, 1.4), limits, {}, readings(0.5, 0.4, 0.3, 0.2))
    assert (verdict.choice, verdict.metric, verdict.grade_improved) == ("continue", "loss", False)
    assert verdict.reasons[0].startswith("hold-out loss better")
    assert verdict.reasons[1].startswith(
        "grades by the step tokens: their distance from the right ones worse by 0.3750"
    )
    without = judge(3, history(3, 2, 1.5, 1.4), limits)
    assert (without.grade_difference, without.grade_way, len(without.reasons)) == (None, "", 1)


def test_min_delta_is_in_the_units_of_the_metric() -> None:
    limits = Limits(2, 3, min_delta=0.2, metric="grade")
    small = judge(3, history(3, 2, 1.5, 1.4), limits, {}, readings(0.1, 0.2, 0.3, 0.4))
    assert (small.choice, small.loss_improved) == ("stop", True)
    assert "less than early_stop.min_delta (0.2)" in small.reasons
    assert judge(3, history(3, 2, 1.5, 1.6), limits, {}, readings(0.1, 0.2, 0.3, 0.6)).choice == "continue"


def test_epochs_are_compared_in_one_way_on_the_same_rows() -> None:
    # the last epoch alone has a head of its own: its tokens are what can be compared
    mixed = {**readings(0.1, 0.2), 2: grades(2, way(0.1), way(0.8, "step head"))}
    assert judge(2, history(3, 2, 1), BY_GRADE, {}, mixed).grade_way == "step tokens"
    both = {epoch: grades(epoch, way(0.1), way(0.8, "step head")) for epoch in (0, 1, 2)}
    assert judge(2, history(3, 2, 1), BY_GRADE, {}, both).grade_way == "step head"
    other = {**readings(0.1, 0.2), 2: grades(2, way(0.5), ids=tuple(map(str, range(1, 41))))}
    verdict = judge(2, history(3, 2, 1), BY_GRADE, {}, other)
    assert (verdict.metric, verdict.choice) == ("loss", "continue")
    assert verdict.reasons[0] == "grades: nothing to compare epoch 2 with, so the hold-out loss decides"


def test_the_head_on_the_base_model_decides_nothing() -> None:
    only = {epoch: grades(epoch, way(0.9, "base head")) for epoch in (0, 1, 2)}
    assert judge(2, history(3, 2, 1), BY_GRADE, {}, only).metric == "loss"


def run(step: int, rows: int, skills: list[float], *, metric: str = "grade") -> RunState:
    started = ev.RunStarted(
        run=f"r{step}",
        step=step,
        batch=f"b{step}",
        rows=rows,
        holdout_rows=40,
        holdout_fingerprint="f",
        planned_epochs=2,
        max_epochs=4,
        seed=1,
        metric=metric,
    )
    events: list[ev.AnyEvent] = [started]
    for epoch, skill in enumerate(skills, 1):
        loss = 2.0 - 0.1 * epoch
        events += [
            ev.HoldoutEvaluated(epoch=epoch, loss=loss, sums=(loss * 10,) * 40, tokens=(10,) * 40),
            grades(epoch, way(skill, seed=step)),
            ev.EpochFinished(epoch=epoch, train_loss=1, val_loss=loss, samples_per_second=1, global_step=epoch),
        ]
    return reduce(events)


def test_the_best_epoch_follows_the_metric_of_the_run() -> None:
    assert run(0, 100, [0.2, 0.5, 0.3]).best_epoch() == 2
    assert run(0, 100, [0.2, 0.5, 0.3], metric="loss").best_epoch() == 3
    unread = run(0, 100, [0.2, 0.5, 0.3])
    del unread.readings[2]
    assert unread.best_epoch() == 3


def test_the_forecast_follows_the_metric_and_names_it() -> None:
    skills = (0.1, 0.32, 0.43, 0.5)
    steps = [run(step, 100 * (step + 1), [skill]) for step, skill in enumerate(skills)]
    ahead = forecast_of(steps)
    assert ahead is not None
    assert ahead.metric == "grade"
    assert ahead.now == pytest.approx(1.25 * 0.5, abs=0.02)
    assert "should bring the distance from the right grades from 0.6" in ahead.words
    # losses that do not fall allow no forecast of the loss
    assert forecast_of([*steps[:-1], run(3, 400, [0.5], metric="loss")]) is None
