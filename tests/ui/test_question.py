"""The question after an epoch can be read whole in the smallest terminal, and its reasons stand behind one key."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import screen_text
from msgspec.structs import replace
from scenes import make, opened, settle
from textual.pilot import Pilot

from opeddev_tui.runs import events as ev
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.monitor.in_full import InFullScreen

SIZES = ((80, 24), (120, 40), (200, 60))
INTERVALS = {"clear": (0.05, 0.41), "noise": (-0.0312, 0.41)}
REASONS = (
    "hold-out loss better by 0.0123 than epoch 2, the best so far (95% interval -0.0312 to 0.4100, within noise: the "
    "interval holds zero)",
    "grades by the grade tokens of the step's model: their distance from the right ones worse by 0.1772 than before "
    "the step (95% interval 0.0550 to 0.2897); kappa 0.41 then, 0.22 now",
    "human evaluation 0.67: better than the best so far",
)


def longest(metric: str, loss: int, grades: int, noise: str, *, planned: bool) -> ev.Verdict:
    """Return a verdict with texts as long as they get; ``loss`` and ``grades`` are 1 for better, -1 for worse."""
    low, high = INTERVALS[noise]
    improved = (grades if metric == "grade" else loss) > 0

    def turned(sign: int) -> tuple[float, float]:
        return (low, high) if sign > 0 else (-high, -low)

    return ev.Verdict(
        epoch=3, choice="continue" if improved or planned else "stop", limit_reached=False, metric=metric,
        reasons=(("10 epochs are planned",) if planned else ()) + REASONS, loss_improved=loss > 0,
        grade_improved=grades > 0, difference=0.0123 * loss, interval=turned(loss), better=31, worse=19,
        compared_with=2, grade_difference=0.1772 * grades, grade_interval=turned(grades), grade_compared_with=0,
        grade_way="step tokens",
    )  # fmt: skip


async def ask(pilot: Pilot[str], verdict: ev.Verdict) -> str:
    """Ask the longest question that ends in ``verdict``; return what is on the screen, line breaks as blanks."""
    app = pilot.app
    assert isinstance(app, OpeddevApp)
    state = app.session.state
    assert state.question is not None
    assert state.started is not None
    state.question = replace(state.question, verdict=verdict, max_epochs=12, deadline=2e9)
    state.started = replace(state.started, seed=1234, group="20260101-seeds")
    state.grades[3] = replace(state.grades[3], exact=1.0, within_one=1.0, kappa=-0.46, majority_exact=1.0)
    state.next_step = ev.NextStepChosen(epoch=3, learning_rate=2.5e-5, batch="batch_100_03", start_from="best")
    app.show_now()
    await pilot.pause()
    await pilot.pause()
    return screen(app)


def screen(app: OpeddevApp) -> str:
    lines = [strip.text.strip() for strip in screen_text.strips_of(app.screen)]
    return " ".join(" ".join(lines).split())


KINDS = [*product(("loss", "grade"), (1, -1), (1, -1), INTERVALS, (True, False))]


@pytest.mark.parametrize("size", SIZES)
async def test_the_whole_question_is_read_without_scrolling(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        for metric, loss, grades, noise, planned in KINDS:
            verdict = longest(metric, loss, grades, noise, planned=planned)
            shown = await ask(pilot, verdict)
            improved = (grades if metric == "grade" else loss) > 0
            assert f"Seed 1234: epoch 3 of at most 12 is done. The rule says: {verdict.choice}" in shown
            assert ("continue (10 epochs are planned)" in shown) == (planned and not improved)
            words = {name: "better" if sign > 0 else "worse" for name, sign in (("loss", loss), ("grades", grades))}
            # the headline names both measures and what each is against, says where they disagree, and what is noise
            unchanged = "unchanged within noise" if noise == "noise" else ""
            of_loss = unchanged or f"{words['loss']} than epoch 2"
            assert f"loss {of_loss}" in shown.lower()
            # kappa fell below zero while the shares rose: the distance is named, and nearer grades are no grading yet
            figure = "by expected distance"
            # where the rule goes by the distance its line below says so
            against = "than before the step" if metric == "grade" else f"{figure} than before the step"
            said = f"nearer {against} but still guessing" if grades > 0 else f"worse {against}"
            assert f"grades {unchanged or said}" in shown.lower()
            assert ("they disagree" in shown) == (loss != grades and not unchanged)
            assert ("the rule counts the gain" in shown) == (improved and bool(unchanged))
            # "better by" is never read alone where the headline calls it noise, and each baseline is named
            alone = ", within noise" if unchanged else ""
            assert f"Hold-out loss 0.9641: {words['loss']} by 0.0123 than after epoch 2{alone}." in shown
            assert "Grades: 100% exact (to beat: 100%), 100% within one (to beat: 64%), kappa -0.46." in shown
            assert ("Distance of the grades: " in shown) == (metric == "grade")
            assert "Without an answer the rule decides in" in shown
            assert "Chosen for the next step: learning rate 2.5e-05, data up to batch_100_03" in shown
            assert "c Continue: train epoch 4 s Stop: end the step e More i Why" in shown


async def test_why_shows_every_reason(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await ask(pilot, longest("loss", 1, -1, "noise", planned=True))
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, InFullScreen)
        told = " ".join(part.plain for part in app.screen.parts()).lower()
        assert all(reason in told for reason in REASONS)
        assert "31 hold-out rows better, 19 worse." in told
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, InFullScreen)
        # reading decides nothing
        assert app.session.guard.chosen is None


@pytest.mark.parametrize(
    ("exact", "way", "said"),
    [
        (0.5, "", "Loss better, exact grades better."),
        (0.1, "", "Loss better, exact grades worse: they disagree; the loss decides."),
        # the base model's grades are the same after every epoch
        (0.1, "base head", "The rule says: continue. Loss better."),
    ],
)
async def test_exact_grades_are_named_where_the_rule_knows_no_better(
    tmp_path: Path, exact: float, way: str, said: str
) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        state = app.session.state
        way = way or state.grades[3].way
        right = round(50 * exact)
        predicted = (3,) * right + (1,) * (50 - right)
        state.grades[3] = replace(state.grades[3], exact=exact, way=way, predicted=predicted)
        state.grades[2] = replace(state.grades[2], exact=0.3, way=way, predicted=(3,) * 15 + (1,) * 35)
        app.show_now()
        await pilot.pause()
        await pilot.pause()
        assert said in screen(app)


async def test_the_last_epoch_that_is_allowed_offers_no_further_one(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        reason = "epoch 3 is the last that the settings allow"
        last = replace(longest("loss", 1, 1, "clear", planned=False), limit_reached=True, choice="stop")
        shown = await ask(pilot, replace(last, reasons=(reason, *REASONS)))
        assert f"The rule says: stop ({reason})." in shown
        assert "Continue:" not in shown


async def test_a_bar_that_has_no_room_for_all_of_its_lines_names_the_key_that_shows_them(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("enter")
        shown = await ask(pilot, longest("loss", 1, -1, "noise", planned=True))
        assert "… i shows all" in shown
        assert "c Continue: train epoch 4 s Stop: end the step" in shown
