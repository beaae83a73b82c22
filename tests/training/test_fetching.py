"""How far a model is fetched: its bytes in the cache, the rate and the time left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from opeddev_tui.runs import events as ev
from opeddev_tui.training import fetching


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[ev.AnyEvent] = []

    def emit(self, event: ev.AnyEvent) -> None:
        self.events.append(event)


def test_bytes_that_arrive_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetching, "EVERY", 0.01)
    blobs = tmp_path / "models--owner--model" / "blobs"
    blobs.mkdir(parents=True)
    told = Told()
    with fetching.told(told, "owner/model", "main"):
        for count in range(1, 500):
            (blobs / "part.incomplete").write_bytes(b"x" * 1024 * count)
            if any("KiB" in event.detail for event in told.events):
                break
            time.sleep(0.01)
    assert isinstance(told.events[0], ev.PhaseChanged)
    assert told.events[0].phase == "fetching"
    assert "owner/model: " in told.events[0].detail
    assert "KiB" in told.events[-1].detail


def test_a_folder_is_not_fetched(tmp_path: Path) -> None:
    told = Told()
    with fetching.told(told, str(tmp_path), "main"):
        pass
    assert told.events == []


def test_the_rate_and_the_time_left() -> None:
    began = time.monotonic() - 10
    words = fetching.progress_words("owner/model", 2**30, 3 * 2**30, 2**30, began)
    assert words.startswith("owner/model: 1.0 GiB of 3.0 GiB, 102.4 MiB/s, 20 s left")
    assert fetching.progress_words("owner/model", 2**30, 0, 0, began) == "owner/model: 1.0 GiB"
