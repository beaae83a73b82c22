"""Whoever leaves knows what becomes of the training: in the app that trains, in one that follows it, in a replay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from scenes import awaiting, make, opened, run_id, settle, trained, training, until
from test_app import text_of

from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.keymap import keymap_of
from opeddev_tui.ui.screens.monitor.in_full import InFullScreen
from opeddev_tui.ui.screens.quit import QuitScreen
from opeddev_tui.ui.state.leaving_text import after_leaving, unwatched
from opeddev_tui.ui.state.view import RunRow, TrainedBy

AT = 1_700_000_000.0
MINE = "This app trains: q asks whether it "
GOES_ON = "goes on without the app or is saved and stopped; closing the terminal lets it go on."
PAUSED = "it stays paused: nothing is trained until {monitor.pause} is pressed again in the app"
OTHER = "Another process trains: q and closing the terminal leave the training as it is."
NONE = "Nothing is trained now: q only closes the app."


def by_rule(at: float) -> list[ev.AnyEvent]:
    first, *rest = training(at)
    assert isinstance(first, ev.RunStarted)
    return [replace(first, policy="rule"), *rest]


def question(deadline: float | None) -> RunState:
    *rest, asked = awaiting(AT)
    assert isinstance(asked, ev.DecisionAwaited)
    return reduce([*rest, replace(asked, deadline=deadline)])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (question(None), "it waits for your decision as long as it takes: nothing is trained before you answer"),
        (question(AT + 3720), "it waits for your decision, and the rule decides in 1 h 02 min"),
        (reduce([*training(AT), ev.Paused(at=AT, global_step=72)]), PAUSED),
        (reduce(training(AT)), "it goes on until it asks after an epoch"),
        (reduce(by_rule(AT)), "it goes on by itself"),
    ],
)
def test_what_a_training_does_that_nobody_watches(state: RunState, said: str) -> None:
    assert unwatched(state, now=AT) == said
    # in the terminal, the app that trains and the one that follows say the same of it
    verb = "stands still" if state.status in ("paused", "awaiting") else "goes on"
    for who, whose in (("mine", ""), ("other", " as before")):
        told = after_leaving(state, who, 4711, "opeddev-tui")  # type: ignore[arg-type]
        assert told.startswith(f"The training {verb} in process 4711{whose}: it ")
        assert told.endswith("See it again with: opeddev-tui")


def test_a_training_that_begins_is_not_spoken_of_as_the_run_before_it() -> None:
    assert unwatched(question(None), starting=True) == "it goes on by itself"


def test_an_answer_on_its_way_is_not_spoken_of_as_an_open_question() -> None:
    assert unwatched(question(None), answered=True) == "it does what you chose"
    told = after_leaving(question(None), "mine", 4711, "opeddev-tui", answered=True)
    assert told.startswith("The training goes on in process 4711: it does what you chose.")


def test_what_is_said_where_nothing_goes_on() -> None:
    stopped = reduce([*training(AT), ev.Interrupted(reason="q", checkpoint="c", global_step=72)])
    told = after_leaving(stopped, "none", 0, "opeddev-tui")
    assert told == "The training is saved and stopped at optimizer step 72. Resume it with: opeddev-tui"
    assert after_leaving(reduce(trained(1, AT)), "none", 0, "opeddev-tui") == ""
    assert after_leaving(RunState(), "none", 0, "opeddev-tui") == ""


@pytest.mark.parametrize("name", ["training", "awaiting", "paused", "stalled", "starting"])
@pytest.mark.parametrize(("who", "said"), [("mine", MINE), ("other", OTHER)])
async def test_it_is_said_before_one_leaves(tmp_path: Path, name: str, who: TrainedBy, said: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, name)
        app.session.trained_by = who
        app.show_now()
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, InFullScreen)
        shown = " ".join(part.plain for part in app.screen.parts())
        assert said in shown
        assert NONE not in shown
        # a training that stands still until a person comes is never said to go on
        stands = name in ("awaiting", "paused")
        assert (GOES_ON in shown) == (who == "mine" and not stands)
        closing = {"awaiting": "closing the terminal lets it wait.", "paused": "closing the terminal leaves it paused."}
        assert not stands or (closing[name] in shown) == (who == "mine")


@pytest.mark.parametrize(("who", "said"), [("mine", MINE), ("other", OTHER), ("none", NONE)])
async def test_a_replay_says_it_too(tmp_path: Path, who: TrainedBy, said: str) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "training")
        app.session.trained_by = who
        app.session.old = RunRow(run_id(0), reduce(trained(0, AT)), "finished")
        app.show_now()
        await pilot.pause()
        shown = " ".join(text_of(app).split())
        assert "This is the run as it was." in shown
        assert said in shown


@pytest.mark.parametrize(
    ("name", "title", "text"),
    [
        ("awaiting", "The training waits for your decision", "Left alone, it waits for your decision as long as it"),
        ("paused", "The training is paused", "nothing is trained until F8 is pressed again in the app."),
        ("training", "A training is running", "Left alone, it goes on until it asks after an epoch."),
    ],
)
async def test_the_question_says_what_each_answer_does(tmp_path: Path, name: str, title: str, text: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, name)
        own = keymap_of({"monitor.pause": OwnKeys(("f8",), "own")})
        app.push_screen(QuitScreen(app.session.current, own))
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await pilot.pause()
        shown = " ".join(re.sub(r"[│╭╮╰╯─┃━]", " ", text_of(app)).split())
        assert title in shown
        assert text in shown
        assert "k Leave it alone, without the app; opeddev-tui shows it again" in shown
        assert "s Stop and save: the run can be resumed" in shown


async def test_a_choice_that_leaving_carries_out_is_named(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        screen = QuitScreen(app.session.current, chosen="Stop: end the step")
        app.push_screen(screen)
        await pilot.pause()
        shown = " ".join(text_of(app).split())
        assert "Your choice takes effect as you leave (Stop: end the step)." in shown
        assert "waits for your decision as long" not in shown
