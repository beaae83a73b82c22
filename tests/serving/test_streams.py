"""A stream is read as it comes: whole lines, parts of too long ones, and nobody is waited for who has nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from opeddev_tui.serving.streams import Stream

MOST = 1 << 20


@pytest.fixture
def pipe() -> Iterator[tuple[Stream, int]]:
    reading, writing = os.pipe()
    with open(reading, "rb") as file:
        yield Stream(file, lambda: None), writing


def test_a_line_is_ready_once_its_end_is_there(pipe: tuple[Stream, int]) -> None:
    stream, writing = pipe
    assert not stream.ready(MOST)
    os.write(writing, b"one\ntwo")
    assert stream.ready(MOST)
    assert stream.readline(MOST) == b"one\n"
    assert not stream.ready(MOST)
    os.write(writing, b" and more\n\nthree")
    os.close(writing)
    assert [stream.readline(MOST) for _ in range(4)] == [b"two and more\n", b"\n", b"three", b""]
    # at the end nothing is waited for
    assert stream.ready(MOST)
    assert stream.read(MOST) == stream.readline(MOST) == b""


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_no_line_is_longer_than_asked_for(pipe: tuple[Stream, int], size: int) -> None:
    stream, writing = pipe
    content = b"abcd\n" * 3 + b"x" * 20
    os.write(writing, content)
    assert stream.ready(size)
    os.close(writing)
    parts = list(iter(lambda: stream.readline(size), b""))
    assert b"".join(parts) == content
    assert max(map(len, parts)) <= size
    assert parts[0] == b"abcd\n"[:size]


def test_a_line_without_an_end_takes_no_more_memory_than_may_be_read(pipe: tuple[Stream, int]) -> None:
    stream, writing = pipe
    os.write(writing, b"x" * 30000)
    assert stream.ready(1000)
    os.close(writing)
    assert stream.read(10) == b"x" * 10
    assert len(stream.read(MOST)) == 29990


def test_whoever_waits_can_be_stopped() -> None:
    reading, writing = os.pipe()

    def stop() -> None:
        raise KeyboardInterrupt

    with open(reading, "rb") as file:
        stream = Stream(file, stop)
        os.write(writing, b"no end")
        with pytest.raises(KeyboardInterrupt):
            stream.readline(MOST)
    os.close(writing)


def test_what_has_no_descriptor_is_never_waited_for() -> None:
    stream = Stream(io.BytesIO(b"one\ntwo"), lambda: None)
    assert stream.ready(MOST)
    assert [stream.readline(MOST), stream.readline(2), stream.read(MOST)] == [b"one\n", b"tw", b"o"]
