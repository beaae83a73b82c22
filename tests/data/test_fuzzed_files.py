"""Any bytes in any data file: rows or problems with a cure, never a crash, and the same twice."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from opeddev_tui.config.settings import Data, Settings
from opeddev_tui.data.batches import Batch, load_batch

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz")
NAMES = (
    *("messages", "conversations", "prompt", "completion", "response", "question", "answer", "instruction", "input"),
    *(
        "output",
        "text",
        "submission",
        "grade",
        "grades",
        "task",
        "rubric",
        "feedback",
        "kind",
        "id",
        "weight",
        "criteria",
    ),
    *("rater", "group", "system", "history", "tools", "images", "label", "score", "chosen", "rejected", "data", "role"),
    *("content", "from", "value", "type", "", "Grade (1-5)"),
)
SETTINGS = Settings(data=Data(max_line_bytes=2000, max_depth=8, columns={"submission": "code"}))
QUICK = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

leaves = (
    some.none()
    | some.booleans()
    | some.integers(-3, 12)
    | some.floats()
    | some.text(max_size=12)
    | some.sampled_from(["user", "assistant", "human", "gpt", "tool", "Grade: 3", "[{", "4", "3,5", "sep=;"])
)
names = some.sampled_from(NAMES) | some.text(max_size=4)
values = some.recursive(
    leaves, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(names, inner, max_size=4), max_leaves=12
)
fields = some.dictionaries(names, values, max_size=6)
turns = some.lists(
    some.fixed_dictionaries(
        {"role": some.sampled_from(["user", "assistant", "system"]), "content": some.text(max_size=9)},
        optional={"weight": some.sampled_from([0, 1]), "name": leaves, "tool_calls": values},
    ),
    max_size=4,
)
rows = some.lists(fields | some.fixed_dictionaries({"messages": turns}) | values, max_size=4)


def written(rows: list[Any], layout: str) -> bytes:
    """The rows as lines, as an array, in a wrapper, or as a table of whatever fits."""
    if layout == "lines":
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if layout == "array":
        return json.dumps(rows).encode()
    if layout == "wrapper":
        return json.dumps({"data": rows}, indent=1).encode()
    file = io.StringIO()
    table = csv.writer(file, delimiter=layout)
    for row in rows:
        table.writerow([str(value).replace("\0", "") for value in (row.values() if isinstance(row, dict) else [row])])
    return file.getvalue().encode("utf-8", "replace")


contents = some.one_of(
    some.binary(max_size=200),
    some.builds(written, rows, some.sampled_from(["lines", "array", "wrapper", ",", ";", "\t"])),
)


def read(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    first, second = (load_batch(Batch("base", 0, path), SETTINGS) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert list(map(str, first.problems)) == list(map(str, second.problems))
    assert first.examples or first.problems
    for problem in first.problems:
        assert problem.message
        assert problem.cure
        assert "\x1b" not in str(problem)
    for example in first.examples:
        assert example.completion.strip()
        assert example.weight > 0
        assert example.grade is None or 1 <= example.grade <= 5
    return first


@QUICK
@given(content=contents, ending=some.sampled_from(ENDINGS), packed=some.booleans())
def test_any_content_is_rows_or_problems(tmp_path: Path, content: bytes, ending: str, packed: bool) -> None:
    read(tmp_path / f"train{ending}", gzip.compress(content) if packed else content)


@QUICK
@given(rows=rows, cut=some.integers(0, 400), place=some.integers(0, 400), byte=some.binary(min_size=1, max_size=2))
def test_damaged_files_are_told(tmp_path: Path, rows: list[Any], cut: int, place: int, byte: bytes) -> None:
    content = written(rows, "lines")
    for damaged in (content[:cut], content[:place] + byte + content[place:], gzip.compress(content)[:cut]):
        read(tmp_path / "train.jsonl", damaged)


@QUICK
@given(row=some.fixed_dictionaries({"messages": turns}))
def test_a_chat_is_kept_whole_or_told(tmp_path: Path, row: dict[str, Any]) -> None:
    found = read(tmp_path / "train.jsonl", written([row], "lines"))
    for example in found.examples:
        kept = [*((turn.role, turn.content) for turn in example.prompt), ("assistant", example.completion)]
        assert kept == [(turn["role"], turn["content"]) for turn in row["messages"]][: len(kept)]
        cut = row["messages"][len(kept) :]
        assert not cut or found.notes
        assert all(turn.get("weight") == 0 for turn in cut if turn["role"] == "assistant")


@QUICK
@given(texts=some.lists(some.text(min_size=1, max_size=40).filter(lambda text: text.strip()), min_size=1, max_size=4))
def test_texts_of_any_characters_come_back_from_every_layout(tmp_path: Path, texts: list[str]) -> None:
    plain = [text.replace("\0", "x").replace("\r", "x") for text in texts]
    rows = [{"prompt": "ask", "completion": text} for text in plain]
    encodable = all(text.encode("utf-8", "ignore").decode() == text for text in plain)
    for layout, ending in (("lines", ".jsonl"), ("array", ".json"), ("wrapper", ".json")):
        found = read(tmp_path / f"train{ending}", written(rows, layout))
        if encodable:
            assert [example.completion for example in found.examples] == plain
    for separator, ending in ((",", ".csv"), (";", ".csv"), ("\t", ".tsv")):
        table = written([{"a": "prompt", "b": "completion"}, *rows], separator)
        found = read(tmp_path / f"train{ending}", table)
        if encodable:
            assert [example.completion for example in found.examples] == plain
