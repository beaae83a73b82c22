"""The watch of rank 0 wakes a training that waits when its launcher's store has gone, and finds out which rank has."""

import os
import queue
import signal
import subprocess
import sys

import engine_helpers as eh
import pytest

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.ranks import watch as watches
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.watch import RankEnded, Watch
from opeddev_tui.ranks.words import Alone

# serves a store as torchrun does, and says where
SERVER = """
import sys
from opeddev_tui.ranks.line import open_store
store = open_store("127.0.0.1", 0, leads=True)
print(store.port, flush=True)
sys.stdin.read()
"""


def test_a_launcher_that_was_killed_ends_the_attempt_also_while_it_waits_for_a_person() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = Line(open_store("127.0.0.1", int(server.stdout.readline()), leads=False), 0, "run")
    told: queue.Queue[RankEnded] = queue.Queue()
    watch = Watch(line, 2, eh.Seen(), told.put, limit=600)
    watch.begin()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    cause = told.get(timeout=60).cause
    watch.close()
    assert isinstance(cause, TrainingProblem)
    assert str(cause).startswith("the launcher of the ranks has gone")


@pytest.mark.parametrize(
    ("killed", "said"), [(True, "rank 2 of 3 was killed by SIGKILL"), (False, "rank 1 of 3 has lost the other ranks")]
)
def test_a_rank_that_has_lost_another_is_the_reason_only_where_there_is_none(
    *, killed: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_GONE_SECONDS", 1.0)
    line = Line(open_store("127.0.0.1", 0, leads=True), 0, "run")
    told: queue.Queue[RankEnded] = queue.Queue()
    watch = Watch(line, 3, eh.Seen(), told.put, limit=600)
    watch.begin()
    # it leaves when an exchange has failed, and its end may be seen first
    line.post("alone/1", Alone())
    watch.exited(1, "ended with exit code 74")
    if killed:
        watch.exited(2, "was killed by SIGKILL")
    cause = told.get(timeout=60).cause
    watch.close()
    assert str(cause).startswith(said)
