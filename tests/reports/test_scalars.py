"""The logs for other viewers hold the journal's numbers: JSON lines, and TensorBoard's event files read back."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import journal_samples as js
import pytest

from opeddev_tui.cli import main
from opeddev_tui.reports.scalars import scalars, write_jsonl, write_tensorboard
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure, WayGrades

_MASK = 0xA282EAD8


def runs() -> list[list[ev.AnyEvent]]:
    return [js.run_events(0, [2.0, 1.5, 1.25]), js.run_events(1, [1.25, 1.0])]


def from_journal(events: list[ev.AnyEvent], wanted: str) -> list[float]:
    """Return the values of one measure straight from the events, without the code under test."""
    kinds: dict[str, type] = {
        "train/loss": ev.Progress,
        "epoch/train_loss": ev.EpochFinished,
        "epoch/val_loss": ev.EpochFinished,
    }
    name = wanted.partition("/")[2]
    return [getattr(event, name) for event in events if isinstance(event, kinds[wanted])]


MEASURES = ("train/loss", "epoch/train_loss", "epoch/val_loss")


def test_jsonl_holds_the_journal(tmp_path: Path) -> None:
    """Every number once, in order, with its run, step and time."""
    path = tmp_path / "log.jsonl"
    trained = runs()
    count = write_jsonl(path, trained)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == count > 0
    for step, events in enumerate(trained):
        mine = [line for line in lines if line["step"] == step]
        assert {line["run"] for line in mine} == {events[0].run}  # type: ignore[union-attr]  # it starts the run
        for name in MEASURES:
            values = [line["value"] for line in mine if line["name"] == name]
            assert values == [value for value in from_journal(events, name) if value is not None]
            assert values
        expected = [event.at for event in events if isinstance(event, ev.EpochFinished)]
        assert [line["at"] for line in mine if line["name"] == "epoch/val_loss"] == expected


def test_tensorboard_holds_the_journal(tmp_path: Path) -> None:
    """The event files, read without TensorBoard: framing, checksums, and every number at its optimizer step."""
    pytest.importorskip("tensorboard", reason="an optional viewer's library")
    trained = runs()
    count = write_tensorboard(tmp_path, trained)
    found = 0
    for events in trained:
        first = events[0]
        assert isinstance(first, ev.RunStarted)
        (path,) = (tmp_path / first.run).iterdir()
        read = [item for record in records(path.read_bytes()) for item in scalars_of(record)]
        expected = list(scalars(events))
        found += len(read)
        key = [(item.name, item.global_step) for item in expected]
        assert [(name, step) for name, step, _, _ in read] == key
        assert [value for _, _, value, _ in read] == pytest.approx([item.value for item in expected], rel=1e-6)
        assert [at for _, _, _, at in read] == [item.at for item in expected]
        for name in MEASURES:
            mine = [value for tag, _, value, _ in read if tag == name]
            assert mine == pytest.approx([item for item in from_journal(events, name) if item is not None], rel=1e-6)
    assert found == count


def test_tensorboard_reads_it_itself(tmp_path: Path) -> None:
    """TensorBoard's own reader finds the same."""
    pytest.importorskip("tensorboard", reason="an optional viewer's library")
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-not-found,unused-ignore]
        EventAccumulator,
    )

    events = runs()[0]
    write_tensorboard(tmp_path, [events])
    reader = EventAccumulator(str(tmp_path / events[0].run), size_guidance={"tensors": 0})  # type: ignore[union-attr]
    reader.Reload()
    told = [struct.unpack("<f", item.tensor_proto.tensor_content)[0] if item.tensor_proto.tensor_content
            else item.tensor_proto.float_val[0] for item in reader.Tensors("epoch/val_loss")]  # fmt: skip
    assert told == pytest.approx(from_journal(events, "epoch/val_loss"), rel=1e-6)


def test_the_command_writes_both(tmp_path: Path) -> None:
    workspace = js.make_workspace(tmp_path, runs())
    target = tmp_path / "out.jsonl"
    assert main(["export-logs", "-w", str(workspace.root), "--jsonl", str(target)]) == 0
    assert len(target.read_text().splitlines()) == sum(len(list(scalars(events))) for events in runs())


def test_a_damaged_event_file_is_noticed() -> None:
    """The reader of this test would not pass a wrong checksum."""
    data = b"hello"
    head = struct.pack("<Q", len(data))
    whole = head + struct.pack("<I", masked(head)) + data + struct.pack("<I", masked(data))
    assert list(records(whole)) == [data]
    assert crc32c(b"123456789") == 0xE3069283
    with pytest.raises(AssertionError):
        list(records(whole.replace(b"hello", b"hallo")))


# --- TFRecord and the few fields of a protocol buffer


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """Return the checksum as TFRecord stores it."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


def records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file; every checksum must be right."""
    while content:
        (length,), (check,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
        data = content[12 : 12 + length]
        assert check == masked(content[:8])
        assert struct.unpack("<I", content[12 + length : 16 + length])[0] == masked(data)
        yield data
        content = content[16 + length :]


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield (number, value) of a message: integers decoded, everything else as bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        size = {0: 0, 1: 8, 5: 4}.get(key & 7)
        if size == 0:
            yield key >> 3, varint()
            continue
        length = varint() if size is None else size
        yield key >> 3, data[at : at + length]
        at += length


def scalars_of(record: bytes) -> Iterator[tuple[str, int, float, float]]:
    """Yield (tag, step, value, wall time) of an event: 1 time, 2 step, 5 summary; a value is a tensor of one float."""
    event = dict(fields(record))
    if not isinstance(event.get(5), bytes):
        return
    wall, step = event[1], event.get(2, 0)
    assert isinstance(wall, bytes)
    assert isinstance(step, int)
    for number, content in fields(event[5]):  # type: ignore[arg-type]  # asked above
        if number == 1 and isinstance(content, bytes):
            value = dict(fields(content))
            tag, tensor = value[1], value[8]
            assert isinstance(tag, bytes)
            assert isinstance(tensor, bytes)
            held = dict(fields(tensor))
            raw = held.get(4) or held.get(5)
            assert isinstance(raw, bytes)
            yield tag.decode(), step, struct.unpack("<f", raw)[0], struct.unpack("<d", wall)[0]


def test_figures_of_every_way_to_a_grade_are_numbers() -> None:
    """Those of a way by its name and the figure's; what the rows do not tell is left out."""
    way = WayGrades("step head", "its head", (), figures={"kappa": Figure(0.5, 0.1, 0.8), "nll": Figure(None)})
    events: list[ev.AnyEvent] = [
        ev.Progress(global_step=7, epoch=1.0, loss=None),
        ev.GradesRead(epoch=1, labels=(), ids=(), reference=(), ways=(way,)),
    ]
    assert [(item.name, item.global_step, item.value) for item in scalars(events)] == [("step_head/kappa", 7, 0.5)]
