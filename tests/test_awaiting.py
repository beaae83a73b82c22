"""The open question survives every crash: it is asked again, and not one optimizer step runs before the answer."""

from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui import events as ev
from opeddev_tui import human
from opeddev_tui.control import Control, Decide, Record, send
from opeddev_tui.journal import read

Make = Callable[..., Path]
ASK = ("--policy", "ask")


def asked(epoch: int) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, ev.DecisionAwaited) and event.epoch == epoch


def answer(root: Path, epoch: int, choice: ev.Choice = "continue") -> None:
    send(eh.last_run(root), Decide(epoch=epoch, choice=choice))


def steps_of(events: list[ev.AnyEvent]) -> list[int]:
    return [event.global_step for event in events if isinstance(event, ev.Progress)]


def still_waiting(root: Path, process: eh.Command, follower: eh.Follower) -> None:
    """Have two notes recorded one after the other: by an open question, or at the ends of two optimizer steps."""
    for note in ("first", "second"):
        send(eh.last_run(root), Record(ev.Annotated(epoch=1, note=note)))
        follower.wait(lambda event, note=note: isinstance(event, ev.Annotated) and event.note == note, process)  # type: ignore[misc]


def test_killed_at_the_question_it_is_asked_again_and_nothing_is_trained(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8)
    process = eh.start_training(root, *ASK)
    follower = eh.Follower(root)
    follower.wait(asked(1), process)
    for _ in range(3):
        assert process.kill_hard()
        before = steps_of(eh.journal_of(root))
        process = eh.start_training(root, *ASK)
        follower = eh.Follower(root).follow(eh.last_run(root))
        follower.wait(asked(1), process)
        still_waiting(root, process, follower)
        assert steps_of(eh.journal_of(root)) == before
    answer(root, 1, "stop")
    assert process.code() == 0, process.text()
    state = eh.states(root)[-1]
    assert state.finished is not None
    assert state.finished.epochs == 1
    assert [item.by for item in state.decisions] == ["person"]


def test_deciding_at_3_and_at_4_with_kills_between_equals_a_native_run_of_5(workspace_factory: Make) -> None:
    native = workspace_factory(rows=8, **{"training.num_train_epochs": 5})
    eh.train(native)
    root = workspace_factory(rows=8, **{"early_stop.max_extra_epochs": 2})
    process = eh.start_training(root, *ASK)
    follower = eh.Follower(root)
    for epoch in (1, 2, 3, 4):
        follower.wait(asked(epoch), process)
        if epoch >= 3:
            assert process.kill_hard()
            process = eh.start_training(root, *ASK)
            follower = eh.Follower(root).follow(eh.last_run(root))
            follower.wait(asked(epoch), process)
        answer(root, epoch)
    assert process.code() == 0, process.text()
    assert eh.final_weights(root) == eh.final_weights(native)
    decisions = eh.states(root)[-1].decisions
    assert [(item.epoch, item.choice, item.by) for item in decisions][-3:] == [
        (3, "continue", "person"),
        (4, "continue", "person"),
        (5, "stop", "limit"),
    ]


class Rater:
    """A person who rates every prompt of every epoch at the question, then follows the verdict."""

    def __init__(self, control: Control, preferred: ev.Preference, *, last_left_out: bool = False) -> None:
        self._control = control
        self._preferred = preferred
        self._last_left_out = last_left_out
        self._prompts = 0
        self.verdicts: dict[int, list[ev.Verdict]] = {}

    def __call__(self, event: ev.AnyEvent) -> None:
        if isinstance(event, ev.SamplesGenerated):
            self._prompts = len(event.samples)
        if not isinstance(event, ev.DecisionAwaited):
            return
        seen = self.verdicts.setdefault(event.epoch, [])
        seen.append(event.verdict)
        if len(seen) == 1:
            for prompt in range(self._prompts - self._last_left_out):
                self._control.request(self._rate(event.epoch, prompt))
            self._control.request(Decide(epoch=event.epoch, choice="stop" if event.epoch == 3 else "continue"))

    def _rate(self, epoch: int, prompt: int) -> Record:
        left, right = human.sides(epoch, prompt)
        return Record(
            ev.Rated(epoch=epoch, prompt=prompt, left=left, right=right, preferred=self._preferred, round_seed=epoch)
        )


def train_with(root: Path, preferred: ev.Preference, **extra: bool) -> tuple[Rater, list[ev.Decided]]:
    control = Control()
    rater = Rater(control, preferred, **extra)
    seen = eh.Seen(rater)
    eh.train(root, sink=seen, control=control)
    return rater, seen.of(ev.Decided)


@pytest.fixture
def asking(workspace_factory: Make) -> Callable[[], Path]:
    """Return a maker of workspaces where a person decides and nothing is learnt: the loss alone says stop."""
    return lambda: workspace_factory(
        rows=8,
        **{
            "early_stop.policy": "ask",
            "early_stop.max_extra_epochs": 1,
            "early_stop.min_delta": 100.0,
            "generation.num_probes": 3,
        },
    )


def test_ratings_at_the_question_change_the_verdict(asking: Callable[[], Path]) -> None:
    root = asking()
    _, decided = train_with(root, "now")
    last = decided[-1].verdict
    # epoch 1 was rated as well as it can be, so epoch 3 is not better than the best so far
    assert decided[0].verdict.human_improved
    assert any("human evaluation 1.00: better than" in reason for reason in decided[0].verdict.reasons)
    assert not last.human_improved
    assert last.choice == "stop"
    asked_anew = [event.verdict.human_improved for event in read(eh.last_run(root)) if asked(1)(event)]  # type: ignore[union-attr]
    assert asked_anew == [False, True]


def test_a_half_finished_round_changes_nothing(asking: Callable[[], Path]) -> None:
    _, decided = train_with(asking(), "now", last_left_out=True)
    assert not any(item.verdict.human_improved for item in decided)
    assert not any("human" in reason for item in decided for reason in item.verdict.reasons)


def test_after_the_planned_epochs_a_better_rating_alone_goes_on(asking: Callable[[], Path]) -> None:
    """And taking it back takes it back."""
    control = Control()
    verdicts: list[ev.Verdict] = []

    def react(event: ev.AnyEvent) -> None:
        if not isinstance(event, ev.DecisionAwaited):
            return
        if event.epoch < 3:
            control.request(Decide(epoch=event.epoch, choice="continue"))
            return
        verdicts.append(event.verdict)
        left, right = "now", "before"
        if len(verdicts) == 1:
            for prompt in range(3):
                control.request(
                    Record(ev.Rated(epoch=3, prompt=prompt, left=left, right=right, preferred="now", round_seed=1))
                )
        elif len(verdicts) == 2:
            control.request(Record(ev.RatingUndone(epoch=3, prompt=2)))
        else:
            control.request(Decide(epoch=3, choice="stop"))

    eh.train(asking(), sink=eh.Seen(react), control=control)
    assert [item.choice for item in verdicts] == ["stop", "continue", "stop"]
    assert [item.human_improved for item in verdicts] == [False, True, False]


def test_pinned_and_own_prompts_are_generated(workspace_factory: Make) -> None:
    wanted = {
        "generation.num_probes": 2,
        "generation.probes": ["holdout-4", "#1"],
        "generation.prompts": ["What is a button?"],
        "training.num_train_epochs": 1,
    }
    root = workspace_factory(rows=8, **wanted)
    seen = eh.Seen()
    eh.train(root, sink=seen)
    made = seen.of(ev.SamplesGenerated)[-1].samples
    assert [sample.id for sample in made] == ["holdout-4", "holdout-0", "own 1"]
    assert [sample.own for sample in made] == [False, False, True]
    assert (made[2].reference, made[2].reference_grade) == ("", None)


def test_texts_are_shown_while_they_grow_and_the_journal_has_none_of_it(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opeddev_tui import generation

    monkeypatch.setattr(generation, "TELL_EVERY", 0.0)
    settings = {"generation.num_probes": 2, "generation.max_new_tokens": 4, "training.num_train_epochs": 1}
    root = workspace_factory(rows=8, **settings)
    seen = eh.Seen()
    eh.train(root, sink=seen)
    growing = seen.of(ev.SamplesStreaming)
    assert growing
    assert all(len(event.texts) == len(event.prompts) == 2 for event in growing)
    finished = seen.of(ev.SamplesGenerated)[0].samples
    assert [sample.text.startswith(growing[0].texts[at]) for at, sample in enumerate(finished)] == [True, True]
    assert not any(isinstance(event, ev.SamplesStreaming) for event in eh.journal_of(root))
    state = eh.states(root)[-1]
    for event in growing:
        state.apply(event)
    assert state.events == len(eh.journal_of(root))
