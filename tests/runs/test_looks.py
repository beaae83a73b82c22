"""Looks at the test set: none is lost, each has a number of its own, and nothing un-counts one."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs.looks import Look, read_looks, record_look
from opeddev_tui.workspace.paths import test_looks_file as looks_file


def look(fingerprint: str = "a", checkpoint: str = "run/checkpoint-5") -> Look:
    figures: dict[str, dict[str, list[float | None]]] = {"base head": {"kappa": [0.5, None, 0.7]}}
    return Look(checkpoint=checkpoint, fingerprint=fingerprint, rows=9, losses={"m": 1.5}, figures=figures)


def test_looks_are_kept_with_their_time_and_counted_by_version(tmp_path: Path) -> None:
    assert read_looks(tmp_path).count == 0
    record_look(tmp_path, look("a"))
    record_look(tmp_path, look("b"))
    looks = record_look(tmp_path, look("a"))
    assert (looks.count, looks.at_version("a"), looks.at_version("b"), looks.at_version("c")) == (3, 2, 1, 0)
    times = [item.at for item in looks.looks]
    assert times == sorted(times)
    assert times[0] > 0
    assert looks.looks[0].figures == look().figures


def _look_often(root: Path, numbers: "multiprocessing.queues.Queue[int]") -> None:
    for _ in range(8):
        numbers.put(record_look(root, look()).at_version("a"))


def test_two_processes_that_look_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    numbers = context.Queue()
    workers = [context.Process(target=_look_often, args=(tmp_path, numbers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    given = sorted(numbers.get(timeout=120) for _ in range(16))
    for worker in workers:
        worker.join(120)
    assert given == list(range(1, 17))


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b'{"rows": "many"}', b"\x00\x00"])
def test_a_line_that_cannot_be_read_still_counts_and_the_next_one_is_whole(tmp_path: Path, line: bytes) -> None:
    record_look(tmp_path, look())
    path = looks_file(tmp_path)
    path.write_bytes(path.read_bytes() + line)
    looks = record_look(tmp_path, look())
    assert (looks.count, looks.damaged, looks.at_version("a")) == (3, 1, 3)
    assert json.loads(path.read_bytes().split(b"\n")[-2])["rows"] == 9


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_look(tmp_path, look())
    before = looks_file(tmp_path).read_bytes()
    written = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) > 30:
            return written(descriptor, content[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("opeddev_tui.files.os.write", full)
        with pytest.raises(StorageProblem):
            record_look(tmp_path, look())
    assert looks_file(tmp_path).read_bytes() == before
