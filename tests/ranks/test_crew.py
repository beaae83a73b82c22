"""Ranks that a launcher has started: where they meet, that two trainings do not mix, and how all end."""

import socket
import threading

import pytest

from opeddev_tui.commands import launched
from opeddev_tui.errors import BusyProblem, SettingsProblem
from opeddev_tui.ranks import crew
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.ranks.line import open_store


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def rank(number: int, port: int, job: str = "") -> Launched:
    return Launched(number, 2, number, "torchrun", "127.0.0.1", port, job=job)


def lead_into_another_training(port: int) -> None:
    with launched.leading(rank(0, port)):
        raise BusyProblem("a training is already running here.")


def test_where_rank_0_fails_every_rank_ends_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    # signals are for a main thread
    monkeypatch.setattr(launched.signal, "signal", lambda *_: None)
    monkeypatch.setattr(launched, "_AFTER_SECONDS", 0.0)
    port, codes = free_port(), list[int]()
    hand = threading.Thread(target=lambda: codes.append(launched.be_hand(rank(1, port))), daemon=True)
    hand.start()
    with pytest.raises(BusyProblem):
        lead_into_another_training(port)
    hand.join(60)
    assert codes == [BusyProblem.exit_code]


def test_a_port_at_which_another_training_meets_is_told_with_the_cure() -> None:
    store = open_store("127.0.0.1", 0, leads=True)
    with pytest.raises(SettingsProblem, match=rf"cannot wait for the others at 127.0.0.1:{store.port}") as refused:
        crew.meet(rank(0, store.port))
    assert "MASTER_PORT" in str(refused.value)


def test_a_rank_that_comes_to_another_training_s_port_is_not_called_by_it() -> None:
    port = free_port()
    lead = crew.meet(rank(0, port, job="12.0"))
    lead.post("call/0", crew.Call("a folder", "", ""))
    assert crew.meet(rank(1, port, job="12.0")).posted("call/0")
    assert not crew.meet(rank(1, port, job="12.1")).posted("call/0")
