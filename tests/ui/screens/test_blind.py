"""Blind rounds by keys: shuffled sides, undo, interrupt and resume, the reveal, ratings as events."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine import ScriptedEngine
from evidence import finished, make, notices, rated, samples, showing
from scenes import run_id, until
from test_app import live, text_of
from textual.pilot import Pilot

from opeddev_tui.runs import events as ev
from opeddev_tui.runs import ratings
from opeddev_tui.runs.control import Record, Stop
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.generations.blind import BlindScreen
from opeddev_tui.ui.screens.generations.reveal import revealed
from opeddev_tui.ui.tasks.ratings import Recorder
from opeddev_tui.ui.widgets.text_pane import TextPane

SMALL = (80, 24)


async def recorded(app: OpeddevApp, pilot: Pilot[str]) -> None:
    """Wait until everything that was said is in the journal."""
    await until(pilot, lambda: not [worker for worker in app.workers if worker.group == "record"])


def ratings_in(app: OpeddevApp, run: str) -> list[ev.AnyEvent]:
    events = read(app.provider.workspace.run_folder(run))
    return [event for event in events if isinstance(event, ev.Rated | ev.RatingUndone)]


async def test_a_round_with_undo_interrupt_and_resume(tmp_path: Path) -> None:
    app = make(tmp_path, finished)
    run = run_id(1)
    async with showing(app, SMALL, ("2", "b")) as pilot:
        screen = app.screen
        assert isinstance(screen, BlindScreen)
        for hidden in ("epoch 3 against", "before step", "grade 2 (", "L▸", "R▸"):
            assert hidden not in text_of(app), hidden
        await pilot.press("1", "2")
        await pilot.pause()
        assert "2 of 5" in text_of(app)
        await pilot.press("u")
        await pilot.pause()
        assert "1 of 5" in text_of(app)
        await pilot.press("4", "escape")  # both bad, then an interruption
        await recorded(app, pilot)
        assert app.session.state.ratings[3, 1].preferred == "both bad"
    # another day
    again = make_again(tmp_path)
    async with showing(again, SMALL, ("2", "b")) as pilot:
        await pilot.pause()
        assert "2 of 5" in text_of(again)
        await pilot.press("right", "left", "1")
        await recorded(again, pilot)
        assert "5 of 5" in text_of(again)
        for hidden in ("What was what", "left was", "Score"):
            assert hidden not in text_of(again), hidden
        # the last rating is taken back like any other until the round is closed
        await pilot.press("u", "3")
        await recorded(again, pilot)
        await pilot.press("enter")
        await pilot.pause()
        shown = text_of(again)
        assert "What was what" in shown
        state = again.session.state
        given = ratings.ratings_of(state, 3)
        assert len(given) == 5
        assert len({rating.round_seed for rating in given.values()}) == 1
        seed = ratings.seed_of(state, 3)
        assert seed is not None
        for prompt, rating in given.items():
            assert (rating.left, rating.right) == ratings.sides(seed, prompt)
        answers: dict[int, ratings.Answer] = {0: "left", 1: "both bad", 2: "right", 3: "left", 4: "tie"}
        for prompt, answer in answers.items():
            left, right = ratings.sides(seed, prompt)
            assert given[prompt].preferred == ratings.preferred(left, right, answer)
        score = ratings.score(rating.preferred for rating in given.values())
        assert score is not None
        assert f"Score {score.value:.2f}" in shown
        assert f"{score.interval[0]:.2f} to {score.interval[1]:.2f}, 5 prompts rated" in shown
        # the names are known: nothing can be taken back any more
        await pilot.press("u", "1", "2")
        await recorded(again, pilot)
        assert ratings.ratings_of(state, 3) == given
        await pilot.press("escape")
    kinds = [type(event).__name__ for event in ratings_in(again, run)]
    assert kinds == ["Rated", "Rated", "RatingUndone", "Rated", "Rated", "Rated", "Rated", "RatingUndone", "Rated"]


def make_again(folder: Path) -> OpeddevApp:
    """Open the workspace of an earlier app."""
    from opeddev_tui.config import loading

    layer = {"ui": {"guard_ms": 0, "undo_seconds": 60.0}, "paths": {"model_store": str(folder / "store")}}
    return OpeddevApp(folder, loading.resolve([loading.Layer("test", layer)]))


async def test_the_reveal_names_what_stood_where(tmp_path: Path) -> None:
    def script(at: float) -> list[ev.AnyEvent]:
        return [*finished(at), *(rated(prompt, "now", seed=11) for prompt in range(5))]

    app = make(tmp_path, script)
    async with showing(app, SMALL, ("2", "b")) as pilot:
        await pilot.pause()
        lines = text_of(app).splitlines()
        assert any("Score 1.00" in line for line in lines)
        for prompt in range(5):
            left, right = ratings.sides(11, prompt)
            names = {"now": "epoch 3", "before": "before"}
            line = next(line for line in lines if f"+ {prompt + 1} " in line)
            side = "left" if left == "now" else "right"
            assert f"{names[left]:<11}{names[right]:<11}{side}: epoch 3" in line
        told = " ".join(text_of(app).replace("┃", " ").split())
        assert (
            "Epoch 3 is better beyond chance; the rule goes by the score, better than the best so far (0.50)." in told
        )


@pytest.mark.parametrize(
    ("choices", "meaning"),
    [
        (("now",) * 5, "Epoch 3 is better beyond chance"),
        (("before",) * 5, "The state before the step is better beyond chance"),
        (("now", "now", "now", "before", "tie"), "No difference beyond chance"),
        (("tie",) * 5, "No difference beyond chance"),
    ],
)
def test_a_score_means_one_thing(choices: tuple[ev.Preference, ...], meaning: str) -> None:
    state = reduce(finished(0.0))
    pairs = ratings.pairs(state, 3, 11)
    text = revealed(state, 3, pairs, dict(enumerate(choices)), 0.95, 80).plain
    said = [one for one in ("is better beyond chance", "No difference beyond chance") if one in text]
    assert len(said) == 1
    assert meaning in text


@pytest.mark.parametrize("size", [SMALL, (120, 40), (200, 60)])
async def test_no_text_is_cut_beside_empty_lines(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, finished)
    async with showing(app, size, ("2", "b")) as pilot:
        await pilot.pause()
        panes = {pane.id: pane for pane in app.screen.query(TextPane) if pane.id != "names"}
        cut = {name for name, pane in panes.items() if pane.max_scroll_y}
        rows = (("probe", "reference"), ("left", "right"))
        spare = [
            min(pane.size.height + 2 - pane.lines_needed for name in row for pane in [panes[name]]) for row in rows
        ]
        assert not cut or max(spare) <= 0, (cut, spare)


async def test_enter_hides_nothing_that_was_not_gone_to(tmp_path: Path) -> None:
    app = make(tmp_path, finished)
    async with showing(app, SMALL, ("2", "b", "enter")) as pilot:
        await pilot.pause()
        assert "Prompt" in text_of(app)
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert "Prompt" in text_of(app)
        assert "1 left" not in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert "1 left" in text_of(app)


async def test_ratings_of_a_living_run_go_through_its_training(tmp_path: Path) -> None:
    class Rating(ScriptedEngine):
        """Records ratings as the real training does, until told to stop."""

        def _obey(self, now: float) -> None:
            for epoch in (0, 1):
                self._emit(samples(epoch, now))
            while True:
                for command in self._control.wait(10):
                    self.commands.append(command)
                    if not isinstance(command, Record):
                        return
                    self._emit(command.fact)

    engine = Rating()
    async with live(tmp_path, engine) as (app, pilot):
        await until(pilot, lambda: len(app.session.current.samples) == 4)
        await pilot.press("2", "b")
        await pilot.pause()
        assert isinstance(app.screen, BlindScreen)
        await pilot.press("3", "u")
        await until(pilot, lambda: len(engine.commands) == 2)
        assert [type(command.fact) for command in engine.commands] == [ev.Rated, ev.RatingUndone]
        await until(pilot, lambda: not [worker for worker in app.workers if worker.group == "record"])
        assert app.session.current.ratings == {}
        await pilot.press("escape")


async def test_a_key_that_comes_with_the_text_rates_nothing(tmp_path: Path) -> None:
    app = make(tmp_path, finished, guard_ms=5000)
    async with showing(app, SMALL, ("2", "b")) as pilot:
        await pilot.press("1", "2", "3", "4")
        await pilot.pause()
        assert "0 of 5" in text_of(app)
        assert app.session.state.ratings == {}


async def test_the_same_weights_are_not_rated(tmp_path: Path) -> None:
    def script(at: float) -> list[ev.AnyEvent]:
        events = finished(at)
        last = next(event for event in reversed(events) if isinstance(event, ev.SamplesGenerated))
        first = next(event for event in events if isinstance(event, ev.SamplesGenerated))
        same = samples(3, at, fingerprint=first.fingerprint)
        return [same if event is last else event for event in events]

    app = make(tmp_path, script)
    async with showing(app, SMALL, ("2", "b")) as pilot:
        await pilot.pause()
        assert not isinstance(app.screen, BlindScreen)
        assert "nothing to rate" in notices(app)


async def test_what_a_training_does_not_take_before_its_end_goes_into_its_journal(tmp_path: Path) -> None:
    class Deaf(ScriptedEngine):
        """Ends without taking anything but a stop, as a training does after the last decision."""

        def __init__(self) -> None:
            super().__init__()
            self.heard: list[object] = []

        def _obey(self, now: float) -> None:
            while not any(isinstance(command, Stop) for command in self.heard):
                self.heard += self._control.wait(10)
            self._emit(ev.RunFinished(at=now, epochs=1, last_checkpoint="c", best_checkpoint="c", best_epoch=1,
                                      val_loss=1.0))  # fmt: skip

    engine = Deaf()
    async with live(tmp_path, engine) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        run = app.session.current_run
        Recorder(app).record(run, ev.Annotated(epoch=1, note="too late for the training"))
        await until(pilot, lambda: any(isinstance(command, Record) for command in engine.heard))
        app.live.stop("over")
        await until(pilot, lambda: app.session.current.notes)
        kept = [event for event in read(app.provider.workspace.run_folder(run)) if isinstance(event, ev.Annotated)]
        assert [event.note for event in kept] == ["too late for the training"]
        assert "too late" in (tmp_path / "logs/observations.md").read_text()


async def test_the_names_appear_by_themselves_once_the_last_rating_can_no_longer_be_taken_back(tmp_path: Path) -> None:
    app = make(tmp_path, finished, undo_seconds=0.05)
    async with showing(app, SMALL, ("2", "b")) as pilot:
        await pilot.press("1", "2", "1", "3", "2")
        await until(pilot, lambda: "What was what" in text_of(app))
