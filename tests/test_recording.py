"""The recording of the documentation: one that players read, of the run whose pictures the README shows."""

from __future__ import annotations

import html
import importlib.util
import itertools
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pyte
import pytest

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def asciicast() -> ModuleType:
    spec = importlib.util.spec_from_file_location("asciicast", ROOT / "benchmarks" / "asciicast.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(text: str) -> tuple[dict[str, Any], list[tuple[float, str, str]]]:
    header, *events = [json.loads(line) for line in text.splitlines()]
    return header, [(at, kind, data) for at, kind, data in events]


def shown(header: dict[str, Any], events: list[tuple[float, str, str]]) -> dict[str, list[str]]:
    """Return what a terminal shows at each marker and, under "", at the end."""
    screen = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    found = {}
    for _, kind, data in events:
        if kind == "m":
            found[data] = list(screen.display)
        else:
            stream.feed(data)
    return {**found, "": list(screen.display)}


def pictures() -> list[str]:
    """Return the frames of the animated picture."""
    return (IMAGES / "run.svg").read_text(encoding="utf-8").split('<g class="frame"')[1:]


def words(lines: list[str]) -> str:
    return re.sub(r"\s", "", "".join(lines))


def words_of(picture: str) -> str:
    # the first text is the title of the window
    return words([html.unescape(text) for text in re.findall(r"<text[^>]*-line-\d+\)[^>]*>([^<]*)</text>", picture)])


def test_the_recording_is_one_that_players_read() -> None:
    text = (IMAGES / "run.cast").read_text(encoding="utf-8")
    header, events = read(text)
    assert (header["version"], header["width"], header["height"]) == (2, 120, 40)
    times = [at for at, _, _ in events]
    assert times == sorted(times)
    assert all(later - earlier <= 3.01 for earlier, later in itertools.pairwise(times))
    assert {kind for _, kind, _ in events} == {"o", "m"}
    assert len(text.encode()) < MOST_BYTES


def test_the_recording_ends_with_a_graded_submission_and_names_no_folder_of_the_machine() -> None:
    text = (IMAGES / "run.cast").read_text(encoding="utf-8")
    last = "\n".join(shown(*read(text))[""])
    assert "Grader" in last
    assert "90% set" in last
    assert "/tmp" not in text


def test_the_animated_picture_and_the_recording_are_of_one_run() -> None:
    at_markers = shown(*read((IMAGES / "run.cast").read_text(encoding="utf-8")))
    del at_markers[""]
    assert [words(lines) for lines in at_markers.values()] == [words_of(picture) for picture in pictures()]


def test_only_what_changed_is_written_and_the_screen_is_the_same(asciicast: ModuleType) -> None:
    cast = asciicast.Cast(20, 2, "a title")
    red = "\x1b[31m"
    cast.frame([[("loss 1.50", "")], [("grade 好 5", red)]], 4.0)
    cast.frame([[("loss 1.25", "")], [("grade 好 4", red)]], 5.0)
    cast.frame([[("loss 1.25", "")], [("grade 4 好", red)]], 60.0)
    cast.frame([[("loss 1.25", "")], [("grade 4 好", red)]], 61.0)
    cast.marker("end", 61.5)
    header, events = read(cast.text())
    # 55 s without a change are played as 3; the 1.5 s before the marker stay
    assert [at for at, _, _ in events] == [0.0, 1.0, 4.0, 5.5]
    assert "loss" not in events[1][2]
    screen = shown(header, events)["end"]
    assert screen[0].rstrip() == "loss 1.25"
    assert screen[1].rstrip().replace(" ", "") == "grade4好"
