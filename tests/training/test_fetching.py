"""How far a model is fetched: its bytes in the cache, the rate and the time left."""

from __future__ import annotations

import queue
import time
from pathlib import Path

import pytest

from opeddev_tui.format import size
from opeddev_tui.runs import events as ev
from opeddev_tui.training import fetching


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: queue.Queue[ev.AnyEvent] = queue.Queue()

    def emit(self, event: ev.AnyEvent) -> None:
        self.events.put(event)


def test_bytes_that_arrive_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetching, "EVERY", 0.01)
    asked: list[str] = []
    monkeypatch.setattr(fetching, "_whole_size", lambda source, _: asked.append(source) or 0)
    blobs = tmp_path / "models--owner--model" / "blobs"
    blobs.mkdir(parents=True)
    told = Told()
    with fetching.told(told, "owner/model", "main"), (blobs / "part.incomplete").open("ab", buffering=0) as part:
        for _ in range(2):
            part.write(b"x" * 1024)
            event = told.events.get(timeout=60)
            assert isinstance(event, ev.PhaseChanged)
            assert event.phase == "fetching"
            assert event.detail == f"owner/model: {size(part.tell())}"
    assert asked == ["owner/model"]


def test_a_folder_is_not_fetched(tmp_path: Path) -> None:
    told = Told()
    with fetching.told(told, str(tmp_path), "main"):
        pass
    assert told.events.empty()


def test_the_rate_and_the_time_left() -> None:
    began = time.monotonic() - 10
    words = fetching.progress_words("owner/model", 2**30, 3 * 2**30, 2**30, began)
    assert words.startswith("owner/model: 1.0 GiB of 3.0 GiB, 102.4 MiB/s, 20 s left")
    assert fetching.progress_words("owner/model", 2**30, 0, 0, began) == "owner/model: 1.0 GiB"
