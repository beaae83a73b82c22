"""A rank that gives signs but does no work, or that never begins: it is told, and nobody waits for it for ever."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
from engine_helpers import of
from hands import Hands

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.ranks import group, team
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.orders import Orders
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.training.hooks import NonFiniteLoss

Make = Callable[..., Path]
SHORT = {"training.num_train_epochs": 1, "grading.evaluate": False, "generation.num_probes": 0}


def hangs_while_it_scores() -> None:
    from opeddev_tui.training import reading

    def hangs(*_: object, **__: object) -> None:
        # its beats go on, as those of a process that hangs in a driver do
        time.sleep(600)

    reading.read_losses = hangs


def test_a_rank_that_gives_signs_but_no_answer_is_told_and_ends_the_run_at_the_limit(
    ranks_factory: Make, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "_LATE_SECONDS", 1.0)
    hands.faults[1] = hangs_while_it_scores
    root = ranks_factory(**SHORT, **{"training.rank_timeout_minutes": 0.1})
    with pytest.raises(TrainingProblem, match=r"rank 1 of 2.* has given signs but no answer for 0.1 minutes"):
        eh.train(root)
    assert any("has not answered for a minute" in event.message for event in of(root, ev.Warned))
    assert of(root, ev.RunFailed)[0].resumable


class NobodyBegins:
    """Hands that were started elsewhere and have gone."""

    place = group.Place(0, 2, 0, 2, "127.0.0.1")

    def open(self) -> Line:
        """Return a line at which nobody is."""
        return Line(open_store("127.0.0.1", 0, leads=True), 0, "run")

    def begin(self, *_: object) -> None:
        """Call nobody."""

    def kill(self) -> None:
        """There is nobody."""

    def close(self, *, failed: bool) -> None:
        """There is nobody."""


def idle_team(folder: Path) -> team.Team:
    """Return rank 0's side of an attempt with a second rank that never begins."""
    places = {"root": "", "run": "", "source": "", "resume": "", "checkpoints": str(folder), "secret": "s"}
    numbers = {"batch_size": 1, "accumulation": 1, "max_epochs": 1, "processes": 2, "threads": 1}
    given = Orders(**places, **numbers, settings={}, batches=[], learning_rate=1.0, grades=False)
    (folder / "run").mkdir()
    return team.Team(
        folder / "run", given, NobodyBegins(), eh.Seen(), Control(), silence=0.2, raise_if_stopped=lambda: None
    )


def test_a_launcher_s_rank_that_never_begins_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "_BEGIN_SECONDS", 0.3)
    ranks = idle_team(tmp_path)
    with pytest.raises(TrainingProblem, match=r"rank 1 of 2 has not begun within 0.005 minutes"), ranks:
        ranks.greet()


def fail_beside_a_killed_rank(ranks: team.Team, error: Exception) -> None:
    """Raise ``error`` a moment before the end of rank 1 is seen."""
    threading.Timer(0.1, ranks._watch.exited, (1, "was killed by SIGKILL")).start()
    raise error


@pytest.mark.parametrize(
    "error",
    [
        NonFiniteLoss(3, math.nan),
        ValueError("Default process group has not been initialized, please make sure to call init_process_group."),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
    ],
)
def test_what_an_exchange_that_was_broken_off_leaves_behind_is_the_lost_rank_s_doing(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team.group, "breaks_off", lambda: True)
    monkeypatch.setattr(team.group, "abort", lambda: None)
    ranks = idle_team(tmp_path)
    with pytest.raises(TrainingProblem, match=r"rank 1 of 2 was killed") as told, ranks:
        fail_beside_a_killed_rank(ranks, error)
    assert told.value.__cause__ is error
