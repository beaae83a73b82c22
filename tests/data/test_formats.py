"""Reading data files: every kind of file, and every way in which a file can be wrong."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from data_rows import read_rows

from opeddev_tui.config.settings import Data
from opeddev_tui.data.formats import detect_kind, splits
from opeddev_tui.errors import DataProblem

SETTINGS = Data()
SMALL = Data(max_line_bytes=1000, max_depth=4)
ROWS = [{"text": f"row {number}"} for number in range(1, 4)]


def lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_parquet(path: Path, rows: list[dict[str, object]] | None = None) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows or ROWS), path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved Dataset, ``one``, and a saved DatasetDict, ``both``."""
    import datasets

    folder = tmp_path_factory.mktemp("saved")
    one = datasets.Dataset.from_list(ROWS)
    one.save_to_disk(str(folder / "one"))
    datasets.DatasetDict({"train": one, "validation": one.select([2])}).save_to_disk(str(folder / "both"))
    return folder


@pytest.mark.parametrize(
    ("name", "content", "kind", "places"),
    [
        ("a.jsonl", lines(ROWS), "jsonl", [":1", ":2", ":3"]),
        ("a.ndjson", lines(ROWS).replace(b"\n", b"\r\n"), "jsonl", [":1", ":2", ":3"]),
        ("a.json", b"\n" + lines(ROWS).rstrip(), "jsonl", [":2", ":3", ":4"]),
        ("A.JSONL", b"\xef\xbb\xbf" + lines(ROWS).replace(b"\n", b"\n \n"), "jsonl", [":1", ":3", ":5"]),
        ("a.json", json.dumps(ROWS).encode(), "json", [":1 (row 1)", ":1 (row 2)", ":1 (row 3)"]),
        ("a.json", json.dumps(ROWS, indent=1).encode(), "json", [":2 (row 1)", ":5 (row 2)", ":8 (row 3)"]),
        ("a.csv", b"text\nrow 1\nrow 2\n\nrow 3\n", "csv", [":2", ":3", ":5"]),
        ("a.csv", b'\xef\xbb\xbf"text"\r\n"row 1"\r\nrow 2\r\nrow 3', "csv", [":2", ":3", ":4"]),
    ],
)
def test_text_files_are_read_with_their_places(
    tmp_path: Path, name: str, content: bytes, kind: str, places: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    rows = read_rows(path, SETTINGS)
    assert detect_kind(path) == kind
    assert [row.fields for row in rows] == ROWS
    assert [row.where for row in rows] == [f"{path}{place}" for place in places]


def test_csv_values_stay_texts_and_rows_know_where_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    long = "x" * 200_000  # above the csv module's own limit
    path.write_text(f'id,text\n007,NA\nNone,"two\nlines, ""quoted"""\n3,{long}\n', encoding="utf-8")
    rows = read_rows(path, SETTINGS)
    assert rows[0].fields == {"id": "007", "text": "NA"}
    assert rows[1].fields == {"id": "None", "text": 'two\nlines, "quoted"'}
    assert rows[2].fields["text"] == long
    assert [row.where for row in rows] == [f"{path}:2", f"{path}:3", f"{path}:5"]


def test_parquet_rows_have_numbers_and_types(tmp_path: Path) -> None:
    path = tmp_path / "key=value" / "a.parquet"  # such a folder name must not become a column
    path.parent.mkdir()
    write_parquet(path, [{"text": "a", "grade": 4}, {"text": "b", "grade": None}])
    rows = read_rows(path, SETTINGS)
    assert [row.fields for row in rows] == [{"text": "a", "grade": 4}, {"text": "b", "grade": None}]
    assert rows[1].where == f"{path} row 2"


def test_saved_data_sets(saved: Path) -> None:
    assert (detect_kind(saved / "one"), splits(saved / "one")) == ("saved", [])
    assert (detect_kind(saved / "both"), splits(saved / "both")) == ("saved_splits", ["train", "validation"])
    before = snapshot(saved)
    assert [row.fields for row in read_rows(saved / "one", SETTINGS)] == ROWS
    assert len(read_rows(saved / "both", SETTINGS)) == 3
    (row,) = read_rows(saved / "both", SETTINGS, split="validation")
    assert (row.fields, row.where) == (ROWS[2], f"{saved / 'both' / 'validation'} row 1")
    with pytest.raises(DataProblem, match="no split test") as caught:
        read_rows(saved / "both", SETTINGS, split="test")
    assert caught.value.cure == "It has: train, validation."
    assert snapshot(saved) == before


@pytest.mark.parametrize("damaged", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("content", [b"", b"{", b"[" * 20_000, None])
def test_half_written_saved_data_sets_are_told(
    saved: Path, tmp_path: Path, damaged: str, content: bytes | None
) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    for path in (saved / "one").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if content is None:
        (folder / damaged).unlink()
    else:
        (folder / damaged).write_bytes(content)
    with pytest.raises(DataProblem) as caught:
        read_rows(folder, SETTINGS)
    assert caught.value.where == str(folder)
    assert "save_to_disk" in caught.value.cure


@pytest.mark.parametrize("content", [b"", b"{}", b'{"splits": ["gone"]}', b'{"splits": 3}', b"[" * 100_000])
def test_a_damaged_list_of_splits_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset_dict.json").write_bytes(content)
    for read in (splits, lambda path: read_rows(path, SETTINGS)):
        with pytest.raises(DataProblem, match="does not name splits") as caught:
            read(tmp_path)
        assert caught.value.where == str(tmp_path / "dataset_dict.json")


def test_a_folder_of_files_is_read_in_order_without_what_is_no_data(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", ".hidden.jsonl", "README.md", "dataset_info.json"):
        (tmp_path / name).write_bytes(lines([{"text": name}]))
    (tmp_path / "more.jsonl").mkdir()
    assert [row.fields["text"] for row in read_rows(tmp_path, SETTINGS)] == ["a.jsonl", "b.jsonl"]
    assert splits(tmp_path) == []


def test_a_folder_of_splits(tmp_path: Path) -> None:
    for name in ("train_01", "train_02", "validation", "test-00", "holdout", "extra", "valuable"):
        (tmp_path / f"{name}.jsonl").write_bytes(lines([{"text": name}]))
    assert sorted(splits(tmp_path)) == ["holdout", "test", "train", "validation"]
    trained = [row.fields["text"] for row in read_rows(tmp_path, SETTINGS)]
    assert trained == ["extra", "train_01", "train_02", "valuable"]
    assert [row.fields["text"] for row in read_rows(tmp_path, SETTINGS, split="test")] == ["test-00"]


def test_held_out_splits_alone_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "val.jsonl").write_bytes(lines(ROWS))
    assert splits(tmp_path) == ["validation"]
    assert len(read_rows(tmp_path, SETTINGS, split="validation")) == 3
    with pytest.raises(DataProblem, match="no split train"):
        read_rows(tmp_path, SETTINGS)
    (tmp_path / "test.jsonl").write_bytes(lines(ROWS))
    with pytest.raises(DataProblem, match="no split train") as caught:
        read_rows(tmp_path, SETTINGS)
    assert caught.value.cure.startswith("It has: test, validation. Their rows are not trained on")


GOOD = b'{"text": "a"}\n'
BAD_FILES: list[tuple[str, bytes, str, str, str]] = [
    # name, content, place after the path, part of the message, part of the cure
    ("a.jsonl", b"", "", "no rows", "Put rows into it"),
    ("a.jsonl", b"\n \n", "", "no rows", "Put rows into it"),
    ("a.json", b" [ ] ", "", "no rows", "Put rows into it"),
    ("a.csv", b"", "", "no rows", "Put rows into it"),
    ("a.csv", b"text,grade\n", "", "no rows", "Put rows into it"),
    ("a.parquet", b"", "", "no rows", "Put rows into it"),
    ("a.parquet", b"PAR1 half of a file", "", "not a whole Parquet file", "write or copy it again"),
    ("a.txt", b"x", "", "not a data file (.txt)", ".jsonl"),
    ("a.jsonl", GOOD * 56 + b'{"text" "a"}\n' + GOOD, ":57", "column 9", "one JSON object per line"),
    ("a.jsonl", GOOD * 56 + b'{"text": "a\n' + GOOD, ":57", "cut off", "Finish the row"),
    ("a.jsonl", GOOD + b'{"text": "a", ', ":2", "cut off", "Finish the row"),
    ("a.jsonl", GOOD + b'{"text": "a"', ":2", "cut off", "Finish the row"),
    ("a.jsonl", GOOD + b'{"text": "a"} {"text": "b"}\n', ":2", "more after the row", "per line"),
    ("a.jsonl", "{}\n".encode("utf-16") + b"\x00", "", "damaged UTF-16", "as UTF-8"),
    ("a.csv", "text\na\n".encode("utf-16") + b"\x00", "", "damaged UTF-16", "as UTF-8"),
    ("a.jsonl", "{}\n".encode("utf-16-le"), ":1", "NUL byte at byte offset 1", "UTF-16"),
    ("a.jsonl", GOOD + b'{"text": "a\0"}\n', ":2", "NUL byte at byte offset 25", "UTF-8"),
    ("a.csv", b"text\na\nb\0\n", ":3", "NUL byte at byte offset 8", "UTF-8"),
    ("a.jsonl", GOOD + b'{"text": "\xe9"}\n', ":2", "0xe9, not UTF-8, at byte offset 24", "iconv"),
    ("a.jsonl", b"\xef\xbb\xbf" + b'{"text": "\xe9"}\n', ":1", "0xe9, not UTF-8, at byte offset 13", "iconv"),
    ("a.json", b'[\n{"text": "\xe9"}]', ":2", "0xe9, not UTF-8, at byte offset 12", "iconv"),
    ("a.csv", b"text\na\n\xff\n", ":3", "0xff, not UTF-8, at byte offset 7", "iconv"),
    ("a.jsonl", GOOD + b'{"grade": NaN}\n', ":2", "NaN is not a finite", "Correct the row"),
    ("a.jsonl", GOOD + b'{"grade": -Infinity}\n', ":2", "-Infinity is not a finite", "Correct the row"),
    ("a.jsonl", GOOD + b'{"grade": 1e999}\n', ":2", "1e999 is not a finite", "Correct the row"),
    ("a.json", b'[{"a": 1},\n {"grade": NaN}]', ":2", "NaN is not a finite", "Correct the row"),
    ("a.jsonl", b'{"grade": ' + b"1" * 5000 + b"}", ":1", "too many digits", "Correct the row"),
    ("a.jsonl", GOOD + b'{"a": {"b": 1, "b": 2}}\n', ":2", '"b" stands twice', "Correct the row"),
    ("a.jsonl", GOOD + b'{"a": ' + b"[" * 20_000, ":2", "deeper than 32", "data.max_depth"),
    ("a.jsonl", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, ":1", "deeper than 32", "data.max_depth"),
    ("a.json", b"[\n" + b"[" * 20_000 + b"]" * 20_001, ":2", "deeper than 33", "data.max_depth"),
    ("a.jsonl", GOOD + b'{"text": "\\ud83d"}\n', ":2", '"text" holds half a character', "U+FFFD"),
    ("a.jsonl", GOOD + b'{"text": [{"x": "\\uDE00"}]}\n', ":2", '"text" holds half a', "U+FFFD"),
    ("a.jsonl", GOOD + b'["text"]\n', ":2", 'not an object; it begins ["text"]', "one JSON object per line"),
    ("a.jsonl", b"null\n", ":1", "not an object", "one JSON object per line"),
    ("a.json", b'{\n "text": "a"\n', ":1", "cut off", "Finish the row"),
    ("a.json", b'[{"text": "a"}, 3]', ":1", "not an object; it begins 3", "one array of objects"),
    ("a.json", b'[{"text": "a"},\n{"text": "b', ":2", "cut off", "Finish the row"),
    ("a.json", b'[{"text": "a"},', ":1", "cut off", "Finish the row"),
    ("a.json", b'[{"text": "a"}', ":1", "cut off", "Finish the row"),
    ("a.json", b"[", ":1", "cut off", "Finish the row"),
    ("a.json", b'[{"a": 1}\n{"a": 2}]', ":2", "no comma before row 2", "one array"),
    ("a.json", b'[{"a": 1}]\n{"a": 2}', ":1", "more after the array", "one array"),
    ("a.json", b'[{"a": 1},\n{"a":\n2 3}]', ":3", "not valid JSON", "one array"),
    ("a.csv", b'task,text\na,b\n"c\nd",e,f\n', ":3", "3 values, the header 2", "Quote values"),
    ("a.csv", b"task,text\na,b\nc\n", ":3", "1 values, the header 2", "Quote values"),
    ("a.csv", b'text\na\n"b\nc\n', ":3", "not valid CSV", "Close the quote"),
    ("a.csv", b"4,good work\n5,better\n", ":1", "no header", "column names in line 1"),
    ("a.csv", b"task,1\na,b\n", ":1", "no header", "column names in line 1"),
    ("a.csv", b"text, text\na,b\n", ":1", 'names "text" twice', "its own name"),
]


@pytest.mark.parametrize(("name", "content", "place", "message", "cure"), BAD_FILES)
def test_a_bad_file_is_told_with_place_and_cure(
    tmp_path: Path, name: str, content: bytes, place: str, message: str, cure: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    before = snapshot(tmp_path)
    with pytest.raises(DataProblem) as caught:
        read_rows(path, SETTINGS)
    assert caught.value.where == f"{path}{place}"
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.jsonl", GOOD + b'{"text": "' + b"a" * 1000 + b'"}\n', ":2"),
        ("a.json", b'[{"text": "b"},\n{"text": "' + b"a" * 1000 + b'"}]', ":2 (row 2)"),
        ("a.csv", b"text\nb\n" + b"a" * 1001 + b"\n", ":3"),
    ],
)
def test_a_row_longer_than_the_limit_is_told(tmp_path: Path, name: str, content: bytes, place: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataProblem, match="longer than 1000 bytes") as caught:
        read_rows(path, SMALL)
    assert (caught.value.where, "data.max_line_bytes" in caught.value.cure) == (f"{path}{place}", True)


def test_limits_let_through_what_only_looks_like_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    text = '[{"\\' * 100
    exact = json.dumps({"text": ""})
    path.write_bytes(lines([{"text": text}, {"a": [{"b": [1]}]}]) + exact.encode().ljust(1000) + b"\r\n")
    assert [row.fields for row in read_rows(path, SMALL)] == [{"text": text}, {"a": [{"b": [1]}]}, {"text": ""}]
    path.write_bytes(lines([{"a": [{"b": [[1]]}]}]))
    with pytest.raises(DataProblem, match="deeper than 4"):
        read_rows(path, SMALL)


@pytest.mark.parametrize("tail", [b"", b"\\", b'"'])
def test_the_scan_for_depth_is_linear(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"[" * 50 + b'\\"' * 1_000_000 + tail)
    with pytest.raises(DataProblem):
        read_rows(path, SETTINGS)  # minutes, if it were quadratic


@pytest.mark.parametrize("cut", [1, 100, 300, -1])
def test_a_half_written_parquet_file_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataProblem, match="not a whole Parquet file") as caught:
        read_rows(path, SETTINGS)
    assert (caught.value.where, caught.value.cure.startswith("It may be half written")) == (str(path), True)


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _only_readme(folder: Path) -> Path:
    (folder / "README.md").write_text("hello")
    return folder


def _mixed(folder: Path) -> Path:
    (folder / "a.jsonl").write_bytes(GOOD)
    (folder / "b.csv").write_bytes(b"text\na\n")
    return folder


def _only_arrow(folder: Path) -> Path:
    (folder / "data-00000-of-00001.arrow").write_bytes(b"")
    return folder


def _misspelt(folder: Path) -> Path:
    (folder / "train.jsonl").write_bytes(GOOD)
    return folder / "trian.jsonl"


def _far_away(folder: Path) -> Path:
    (folder / "notes").mkdir()
    return folder / "datasets" / "base" / "a.jsonl"


def _below_a_file(folder: Path) -> Path:
    (folder / "a.jsonl").write_bytes(GOOD)
    return folder / "a.jsonl" / "b.jsonl"


def _loop(folder: Path) -> Path:
    (folder / "a.jsonl").symlink_to(folder / "b.jsonl")
    (folder / "b.jsonl").symlink_to(folder / "a.jsonl")
    return folder / "a.jsonl"


def _dangling(folder: Path) -> Path:
    (folder / "a.jsonl").symlink_to(folder / "gone.jsonl")
    return folder


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.jsonl")
    return folder / "a.jsonl"


@pytest.mark.parametrize(
    ("make", "message", "cure"),
    [
        (_empty, "is an empty folder", ".jsonl"),
        (_only_readme, "no data file (only README.md)", ".jsonl"),
        (_mixed, "a.jsonl (jsonl)", "Keep one kind"),
        (_only_arrow, "no state.json", "save_to_disk"),
        (_misspelt, "does not exist", "Did you mean"),
        (_far_away, "does not exist", "holds notes."),
        (_below_a_file, "does not exist", "Did you mean"),
        (_loop, "symbolic links", "leads to itself"),
        (_dangling, "does not exist", "a.jsonl"),
        (_pipe, "neither a file nor a folder", "Point it at"),
        (lambda folder: folder / ("x" * 300), "name too long", "Check the disk"),
        (lambda folder: folder / "a\0b", "not a path", "Correct the path"),
    ],
)
def test_a_bad_path_is_told_with_a_cure(tmp_path: Path, make: Callable[[Path], Path], message: str, cure: str) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataProblem) as caught:
        read_rows(path, SETTINGS)
    assert str(tmp_path) in caught.value.where
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("method", ["stat", "open", "iterdir"])
def test_a_refused_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, method, refuse)
        with pytest.raises(DataProblem, match="permission denied") as caught:
            read_rows(tmp_path, SETTINGS)
    assert "read permission" in caught.value.cure


def test_reading_loads_no_training_stack(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    program = (
        "import sys; from pathlib import Path; from opeddev_tui.config import settings;"
        "from opeddev_tui.data import batches, formats;"
        f"formats.read_split(Path({str(tmp_path)!r}), settings.Data());"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'datasets', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
