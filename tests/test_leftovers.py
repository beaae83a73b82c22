"""A test that fails ends all the same: it leaves neither a hanging suite nor a process."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).parent
SOURCES = sorted(TESTS.rglob("*.py"))

_BEGIN = """
import json, multiprocessing, os, subprocess, sys, threading, time
from pathlib import Path

import leftovers
import pytest

def note(*pids):
    Path(os.environ["STARTED"]).write_text(json.dumps(pids))
"""
# each fails while something goes on that would not end by itself
_FAILING = {
    "a training that asks": """
from engine import ScriptedEngine
from opeddev_tui.config import loading
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.state.training_thread import TrainingThread

def test_it(tmp_path):
    training = TrainingThread(ScriptedEngine())
    training.start(tmp_path, loading.resolve([]), StepRequest())
    note()
    assert not training.running
""",
    "a process in a block": """
def test_it():
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    with leftovers.ended(subprocess.Popen(words, stdin=subprocess.PIPE)) as process:
        note(process.pid)
        assert not process.pid
""",
    "a process without a block": """
def test_it():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(process.pid)
    assert not process.pid
""",
    "processes that wait for each other": """
def test_it():
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(3)
    waiting = [context.Process(target=gate.wait) for _ in range(2)]
    for process in waiting:
        process.start()
    note(*(process.pid for process in waiting))
    assert not waiting
""",
    "a process of a fork server": """
def test_it():
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=time.sleep, args=(600,))
    process.start()
    note(process.pid)
    assert not process.pid
""",
    "a thread": """
def test_it():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    note()
    assert False
""",
}


@pytest.mark.parametrize("case", _FAILING)
def test_a_failing_test_leaves_nothing_that_goes_on(case: str, tmp_path: Path) -> None:
    path, started = tmp_path / "test_made_up.py", tmp_path / "started.json"
    path.write_text(_BEGIN + _FAILING[case])
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "conftest", "-c", os.devnull]
    paths = [str(TESTS.parent), str(TESTS), str(TESTS / "ui")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "STARTED": str(started)}
    # where it hangs, this limit ends it
    done = subprocess.run(
        [*words, str(path)], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert not [pid for pid in json.loads(started.read_text()) if psutil.pid_exists(pid)]


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
            yield node


def test_every_thread_of_a_test_ends_with_the_suite() -> None:
    found, others = 0, []
    for path in SOURCES:
        for call in calls(ast.parse(path.read_text(encoding="utf-8")), "Thread"):
            found += 1
            if not any(keyword.arg == "daemon" for keyword in call.keywords):
                others.append(f"{path.relative_to(TESTS)}:{call.lineno}")
    assert found > 15
    assert others == []


def test_no_block_waits_for_a_process_that_nobody_ends() -> None:
    blocks = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.With)
        for item in node.items
        if ast.unparse(item.context_expr).startswith(("subprocess.Popen(", "Popen("))
    ]
    assert blocks == []
