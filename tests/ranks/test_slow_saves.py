"""A save that takes longer than an exchange between ranks may last: all wait for it, and it holds the state of all."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_helpers as eh
import pytest
from engine_helpers import of
from hands import Hands
from test_lost_ranks import at_step, when

from opeddev_tui.checkpoints import folders
from opeddev_tui.ranks import group
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, SaveNow

Make = Callable[..., Path]
EXCHANGE_SECONDS = 4.0


def exchanges_are_short() -> None:
    """Have an exchange between ranks fail after seconds instead of minutes."""
    right = group.joined
    group.joined = lambda place, store, name, **_: right(place, store, name, seconds=EXCHANGE_SECONDS)


def slow_random_state() -> None:
    from opeddev_tui.training import hand_trainer

    exchanges_are_short()
    right = hand_trainer.HandTrainer.save_random_state

    def slow(self: hand_trainer.HandTrainer, folder: Path) -> None:
        time.sleep(2)
        right(self, folder)

    hand_trainer.HandTrainer.save_random_state = slow  # type: ignore[method-assign] # in a process of its own


def test_a_save_longer_than_an_exchange_may_last_ends_nothing_and_holds_every_rank(
    ranks_factory: Make, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "joined", group.joined)
    exchanges_are_short()
    hands.faults[1] = slow_random_state
    publish, slept = folders.publish, list[bool]()

    def slow(*arguments: Any, **named: Any) -> folders.Manifest:
        if not slept:
            slept.append(True)
            time.sleep(2 * EXCHANGE_SECONDS)
        return publish(*arguments, **named)

    monkeypatch.setattr(folders, "publish", slow)
    root, control = ranks_factory(**{"training.num_train_epochs": 1}), Control()
    eh.train(root, sink=when(at_step(2), lambda: control.request(SaveNow())), control=control)
    saved = [eh.place_of(root, event.path) for event in of(root, ev.CheckpointSaved)]
    assert len(saved) == 2
    for folder in saved:
        assert folders.problems_of(folder, for_resume=True) == []
        assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(folders.manifest_of(folder).files)
