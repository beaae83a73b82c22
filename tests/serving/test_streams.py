"""A stream is read as it comes: whole lines, parts of too long ones, and nobody is waited for who has nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from opeddev_tui.errors import DataProblem
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


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_what_the_mark_tells_is_read_as_it_comes(pipe: tuple[Stream, int], codec: str) -> None:
    stream, writing = pipe
    mark = "" if codec in ("utf-8-sig", "utf-16") else "\ufeff"
    content = f"{mark}Größe\nzwei 𝄞\n".encode(codec)
    # byte after byte: no character and no mark may be cut
    for byte in content[:-1]:
        os.write(writing, bytes([byte]))
        stream._take()
    os.write(writing, content[-1:])
    assert stream.ready(MOST)
    assert stream.readline(MOST).decode("utf-8-sig") == "Größe\n"
    assert stream.readline(MOST).decode() == "zwei 𝄞\n"
    os.close(writing)


def test_damaged_utf_16_is_said_after_what_came_before_it(pipe: tuple[Stream, int]) -> None:
    stream, writing = pipe
    os.write(writing, "one\n".encode("utf-16") + b"\0")
    assert stream.readline(MOST) == b"one\n"
    os.close(writing)
    with pytest.raises(DataProblem, match=r"damaged UTF-16 text\. Save it again, as UTF-8\."):
        stream.readline(MOST)


def test_a_blank_line_is_no_row_that_is_there(pipe: tuple[Stream, int]) -> None:
    stream, writing = pipe
    os.write(writing, b" \n\r\n")
    assert not stream.ready(MOST)
    os.write(writing, b"one\n")
    assert stream.ready(MOST)
    assert [stream.readline(MOST) for _ in range(3)] == [b" \n", b"\r\n", b"one\n"]
    os.close(writing)
