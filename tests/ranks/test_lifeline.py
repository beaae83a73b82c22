"""The end of a rank's process is known at once on rank 0's machine, and that of rank 0 to the others."""

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import leftovers
import pytest

from opeddev_tui.ranks import crew, lifeline, orders
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.ranks.life import Life
from opeddev_tui.ranks.lifeline import Held, Lifeline, Lifelines
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.words import Broken

LOOPBACK = "127.0.0.1"
HOLD = """
import socket, sys, time
held = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
held.sendall(f"1 {sys.argv[2]}\\n".encode())
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def store() -> Any:
    return open_store(LOOPBACK, 0, leads=True)


@pytest.fixture
def ended(store: Any) -> Iterator["queue.Queue[int]"]:
    """Rank 0's ends of the lifelines: the ranks that have ended."""
    found: queue.Queue[int] = queue.Queue()
    lines = Lifelines(Line(store, 0, "job"), found.put)
    yield found
    lines.close()


def place(store: Any) -> Held:
    return Line(store, 1, "job").read("lifelines", Held, keep=True)


def holder(store: Any, secret: str = "") -> "subprocess.Popen[bytes]":
    """Start a process that is rank 1, with a connection."""
    held = place(store)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(held.port), secret or held.secret], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_killed_process_is_known_within_seconds(store: Any, ended: "queue.Queue[int]") -> None:
    with leftovers.ended(holder(store)) as process:
        process.kill()
        assert ended.get(timeout=30) == 1


def test_who_does_not_know_the_secret_is_nobody(store: Any, ended: "queue.Queue[int]") -> None:
    for words in (b"", b"1 wrong\n", b"\xff\x00 x\n", b"1\n", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((LOOPBACK, place(store).port)) as stranger:
            stranger.sendall(words)
            if words:
                stranger.settimeout(30)
                assert stranger.recv(1) == b""
    with leftovers.ended(holder(store)) as process:
        process.kill()
        assert ended.get(timeout=30) == 1
    assert ended.empty()


def test_a_hand_learns_that_rank_0_has_ended(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "_ALONE_SECONDS", 0.0)
    alone = threading.Event()
    lines = Lifelines(Line(store, 0, "job"), lambda _rank: None)
    hand = Lifeline(Line(store, 1, "job"), LOOPBACK, alone.set)
    lines.close()
    assert alone.wait(30)
    hand.close()


def test_a_hand_that_was_let_go_is_not_alone_and_its_end_is_told_once(store: Any, ended: "queue.Queue[int]") -> None:
    alone = threading.Event()
    hand = Lifeline(Line(store, 1, "job"), LOOPBACK, alone.set)
    while hand._connection is None:
        threading.Event().wait(0.01)
    hand.close()
    assert ended.get(timeout=30) == 1
    assert not alone.is_set()


def test_without_a_way_to_rank_0_the_hand_works_as_ever(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = int(server.getsockname()[1])
    Line(store, 0, "job").post("lifelines", Held(port, "secret"))
    hand = Lifeline(Line(store, 1, "job"), LOOPBACK, pytest.fail)
    for thread in threading.enumerate():
        if thread.name == "lifeline":
            thread.join(30)
    assert "no connection to rank 0" in caplog.text
    hand.close()


def test_a_rank_that_ended_between_two_attempts_is_told_at_the_next(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = int(free.getsockname()[1])
    held = crew.Crew(Launched(0, 2, 0, "torchrun", LOOPBACK, port))
    held._ended(1)
    found: list[tuple[int, str]] = []
    given = orders.Orders("", "", {}, [], "", "", "", 1, 1, 1e-5, 1, 2, 1, grades=False, secret="")
    held.begin(held.open(), tmp_path, given, lambda rank, words: found.append((rank, words)))
    assert found == [(1, "has gone")]
    held.close(failed=True)
    held._ended(1)
    assert len(found) == 1
    held._lifelines.close()


def test_a_hand_leaves_an_exchange_once_rank_0_says_that_a_rank_was_lost(store: Any) -> None:
    left = threading.Event()
    life = Life(Line(store, 1, "job"), 60.0, broken=left.set)
    Line(store, 0, "job").post("broken", Broken())
    life.begin()
    assert left.wait(30)
    life.close()
