"""Files of every kind that people bring: read right, or passed over and refused by name."""

# ruff: noqa: E501 - a case is one line of the table

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from real_files import GZIPPED, HELD, check, graded_rows, jsonl, table

from opeddev_tui.config.settings import Data, Grading

ROWS = graded_rows(4)
MORE = graded_rows(3, first=20)
LINES = jsonl(ROWS)


def _parquet(rows: list[dict[str, object]], labels: list[str] | None = None) -> bytes:
    content = pyarrow.Table.from_pylist(rows)
    if labels:
        features = {"grade": {"names": labels, "_type": "ClassLabel"}, "task": {"dtype": "string", "_type": "Value"}}
        content = content.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    parquet.write_table(content, file)
    return file.getvalue()


@dataclass(frozen=True)
class Case:
    """Files, how many rows of them are trained on, and what must be told."""

    name: str
    files: Mapping[str, bytes | str]
    rows: int = 4
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    grading: Grading = field(default_factory=Grading)
    data: Data = field(default_factory=Data)


def _pandas_split() -> str:
    return json.dumps({"columns": list(ROWS[0]), "index": [0, 1, 2, 3], "data": [list(row.values()) for row in ROWS]})


CASES = [
    # packed
    Case("packed lines beside plain ones", {"base/train.jsonl": jsonl(MORE), "base/train_02.jsonl.gz": GZIPPED}, 7),
    Case("packed array", {"base/train.json.gz": gzip.compress(json.dumps(ROWS).encode())}),
    Case("packed table", {"base/train.csv.gz": gzip.compress(table(ROWS).encode())}),
    Case("packed tabs", {"base/train.TSV.GZ": gzip.compress(table(ROWS, "\t").encode())}),
    Case("packed twice in a row", {"base/train.jsonl.gz": gzip.compress(LINES) + gzip.compress(jsonl(MORE))}, 7),
    Case("packed but not named so", {"base/train.jsonl": GZIPPED}),
    Case("named packed but plain", {"base/train.jsonl.gz": LINES}),
    Case("half a packed file", {"base/train.jsonl.gz": GZIPPED[:-20]}, 0, problems=("is not a whole gzip file",)),
    Case("packed increments", {"base/a.jsonl": LINES, "more/batch_100_01.jsonl.gz": gzip.compress(jsonl(MORE))}, 7),
    Case("increment with tabs", {"base/a.jsonl": LINES, "more/batch_100_02.tsv": table(MORE, "\t")}, 7),
    # tables
    Case("index column without a name", {"base/train.csv": table([{"": n, **row} for n, row in enumerate(ROWS)])}),
    Case("index column of pandas", {"base/train.csv": table([{"Unnamed: 0": n, **row} for n, row in enumerate(ROWS)])}),
    Case("index column of R", {"base/train.csv": table([{"": n, **row} for n, row in enumerate(ROWS)], names=list(ROWS[0]))}),
    Case("semicolons", {"base/train.csv": table(ROWS, ";")}),
    Case("semicolons without quotes", {"base/train.csv": table(ROWS, ";").replace('"', "")}),
    Case("stated separator", {"base/train.csv": "sep=;\n" + table(ROWS, ";")}),
    Case("stated separator, other line ends", {"base/train.csv": ("sep=|\n" + table(ROWS, "|")).replace("\n", "\r\n")}),
    Case("tabs in a .csv", {"base/train.csv": table(ROWS, "\t")}),
    Case("line ends of old Macs", {"base/train.csv": table(ROWS).replace("\n", "\r")}),
    Case("UTF-16 of Excel", {"base/train.csv": table(ROWS, "\t").encode("utf-16")}),
    Case("UTF-16 lines", {"base/train.jsonl": LINES.decode().encode("utf-16")}),
    Case("empty cells below and beside", {"base/train.csv": "\n".join(line + ",," for line in table(ROWS).splitlines()) + "\n,,,,,,\n,,,,,,\n"}),
    Case("units in the header", {"base/train.csv": table(ROWS, names=["Task", "Submission", "Rubric", "Grade (1-5)", "Feedback"])}, notes=("Grade (1-5) as grade",)),
    Case("a unit in one name of the header", {"base/train.csv": table(ROWS, ";", names=["task", "submission", "rubric", "Grade (1-5)", "feedback"])}, notes=("Grade (1-5) as grade",)),
    Case("another name for the grade", {"base/train.csv": table(ROWS, names=["task", "submission", "rubric", "Points", "feedback"])}, 0, problems=('columns = {grade = "Points"}',)),
    Case("a Markdown table", {"base/train.csv": "| " + " | ".join(ROWS[0]) + " |\n|---|:--|---|--:|---|\n" + "".join("| " + " | ".join(map(str, row.values())) + " |\n" for row in ROWS)}),
    Case("a table that PowerShell wrote", {"base/train.csv": "#TYPE System.Object\n" + table(ROWS)}, 0, problems=("is no header of column names", "Remove what stands above")),
    Case("a title above the header", {"base/train.csv": "All grades of 2025\n\n" + table(ROWS)}, 0, problems=("is no header of column names",)),
    Case("one column without quotes", {"base/train.csv": "text\none, two\nthree, four\n"}, 0, problems=("the row has 2 values, the header 1",)),
    Case("line break in the header", {"base/train.csv": table(ROWS, names=["Task", "Submission", "Rubric", "Grade\n[1-5]", "Feedback"])}, notes=("as grade",)),
    Case("a column without a name that holds text", {"base/train.csv": table([{**row, "": "x"} for row in ROWS])}, notes=("column 6 has no name",)),
    Case("Windows-1252", {"base/train.csv": table(graded_rows(1, feedback="naïve “quotes”")).encode("cp1252")}, 0, problems=("iconv -f cp1252 -t utf-8 train.csv", "the place reads: ","naïve")),
    Case("a code page of DOS", {"base/train.csv": table(graded_rows(1, feedback="café")).encode("cp850")}, 0, problems=("the place reads", "caf‚", "else name its encoding")),
    Case("two marks at the beginning", {"base/train.csv": "\ufeff\ufeff" + table(ROWS)}, notes=("as task",)),
    Case("commas for points", {"base/train.csv": table([{**row, "grade": "3,0"} for row in ROWS], ";")}),
    Case("no header", {"base/train.csv": "4,good\n5,better\n"}, 0, problems=("has no header of column names",)),
    Case("other endings of lines", {"base/a.jsonlines": LINES, "base/b.jl": jsonl(MORE)}, 7),
    Case("other endings of tables", {"base/train.tab": table(ROWS, "\t")}),
    Case("other endings of Parquet", {"base/train.pq": _parquet(ROWS)}),
    Case("texts as bytes", {"base/train.parquet": _parquet([{**row, "submission": str(row["submission"]).encode()} for row in ROWS])}),
    Case("bytes that are no text", {"base/train.parquet": _parquet([{**row, "submission": b"\xff\xd8\xff"} for row in ROWS])}, 0, problems=("submission is b'", "not a text")),
    # texts that were changed on their way
    Case("line breaks escaped twice", {"base/train.jsonl": jsonl([{**row, "submission": f"{row['submission']}\\n<p>\\n"} for row in ROWS])}, notes=("4 of 4 submissions have \"\\n\" as two characters",)),
    Case("brackets escaped", {"base/train.jsonl": jsonl([{**row, "submission": str(row["submission"]).replace("<", "&lt;")} for row in ROWS])}, notes=("4 of 4 submissions have &lt;",)),
    Case("UTF-8 read as Windows-1252", {"base/train.jsonl": jsonl([*ROWS[:3], {**ROWS[3], "feedback": "Schön".encode().decode("cp1252")}])}, notes=("1 rows have characters such as 'Ã¶'", "train.jsonl:4")),
    # splits
    Case("splits as endings", {f"base/grader_{name}.jsonl": jsonl(rows) for name, rows in (("train", ROWS), ("val", MORE), ("test", graded_rows(2, 40)))}, notes=("validation split is not trained on (grader_val.jsonl)", "test split is not trained on (grader_test.jsonl)")),
    Case("splits in capitals and camels", {"base/Train.jsonl": LINES, "base/webTestSet.jsonl": jsonl(MORE), "base/EVAL-2.jsonl": jsonl(graded_rows(2, 40))}, notes=("webTestSet", "EVAL-2")),
    Case("testimonials are no test split", {"base/testimonials.jsonl": LINES}),
    Case("contests and devices neither", {"base/contest_devices_evaluated_validity.jsonl": LINES}),
    Case("held out in two words", {"base/rows.jsonl": LINES, "base/rows_held_out.jsonl": jsonl(MORE)}, notes=("holdout split is not trained on",)),
    Case("folders as splits", {"base/train/0000.jsonl": LINES, "base/test/0000.jsonl": jsonl(MORE)}, notes=("test split is not trained on",)),
    Case("layout of the hub", {"base/data/train-00000-of-00002.parquet": _parquet(ROWS[:2]), "base/data/train-00001-of-00002.parquet": _parquet(ROWS[2:]), "base/data/validation-00000-of-00001.parquet": _parquet(MORE), "base/README.md": "card"}, notes=("validation split is not trained on",)),
    Case("a test increment", {"base/a.jsonl": LINES, "more/batch_100_01.jsonl": jsonl(MORE), "more/batch_100_test.jsonl": jsonl(graded_rows(2, 40))}, 7, notes=("is a test split by its name",)),
    Case("kinds of published sets", {"base/train_sft.jsonl": LINES, "base/train_gen.jsonl": jsonl(MORE), "base/test_sft.jsonl": jsonl(graded_rows(2, 40))}, notes=("no set to fine-tune on", "test split is not trained on")),
    Case("training rows beside the hold-out", {"base/rows.jsonl": LINES, "held/train.jsonl": jsonl(MORE)}, notes=("held: its train split is not used (train.jsonl)",)),
    Case("only a test split", {"base/test.jsonl": LINES}, 0, problems=("Their rows are not trained on",)),
    # passed over
    Case("files that are no data", {"base/train.jsonl": LINES, "base/rows.xlsx": b"PK", "base/old.zip": b"PK", "base/LICENSE": "", "base/notes": "", "base/train.jsonl.bak": "", "base/w.pkl": b""}, notes=("rows.xlsx: is not read (.xlsx). Save the sheet as CSV UTF-8", "old.zip", "notes: is not read (no extension)", "train.jsonl.bak", "w.pkl: is not read (.pkl). It is never loaded")),
    Case("increments that are no data", {"base/train.jsonl": LINES, "more/batch_100_01.xlsx": b"PK"}, notes=("batch_100_01.xlsx: is not read",)),
    Case("a folder beside the data", {"base/train.jsonl": LINES, "base/archive/older.jsonl": jsonl(MORE)}, notes=("archive: its 1 data files are not read",)),
    # files that are something else
    Case("a pointer of Git LFS", {"base/train.jsonl": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}, 0, problems=("only a pointer to the data", "git lfs pull")),
    Case("a pointer in place of Parquet", {"base/train.parquet": "version https://git-lfs.github.com/spec/v1\n"}, 0, problems=("only a pointer to the data",)),
    Case("a web page", {"base/train.jsonl": "\n<!DOCTYPE html><html><body>raw</body></html>"}, 0, problems=("is a web page", "raw address")),
    Case("a workbook named .csv", {"base/train.csv": b"PK\x03\x04rest"}, 0, problems=("is a ZIP or Excel file", "CSV UTF-8")),
    Case("Parquet named .json", {"base/train.json": _parquet(ROWS)}, 0, problems=("is a Parquet file by its content", "Name it .parquet")),
    Case("zstd named .jsonl", {"base/train.jsonl": b"\x28\xb5\x2f\xfdrest"}, 0, problems=("packed with zstd", "Unpack it")),
    Case("files put together with their marks", {"base/train.jsonl": ("\ufeff" + LINES.decode() + "\ufeff" + jsonl(MORE).decode())}, 7),
    # documents of JSON
    Case("a comma after the last row", {"base/train.json": json.dumps(ROWS)[:-1] + ",]"}, 4, problems=("is not valid JSON",)),
    Case("wrapper", {"base/train.json": json.dumps({"version": 2, "data": ROWS})}),
    Case("wrapper in one line named lines", {"base/train.jsonl": json.dumps({"data": ROWS})}),
    Case("wrapper over many lines", {"base/train.json": json.dumps({"meta": {"by": "me"}, "examples": ROWS}, indent=2)}),
    Case("pages of a rows service", {"base/train.json": json.dumps({"features": [], "rows": [{"row_idx": n, "row": row} for n, row in enumerate(ROWS)]})}),
    Case("a pandas table by rows", {"base/train.json": _pandas_split()}),
    Case("a pandas table by columns", {"base/train.json": json.dumps({name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]})}, 0, problems=('to_json(path, orient="records", lines=True)',)),
    Case("an array named lines", {"base/train.jsonl": json.dumps(ROWS)}),
    Case("objects over many lines", {"base/train.jsonl": "\n".join(json.dumps(row, indent=2) for row in ROWS)}),
    Case("one object over many lines", {"base/train.json": json.dumps(ROWS[0], indent=2)}, 1),
    Case("arrays and lines together", {"base/a.json": json.dumps(ROWS), "base/b.jsonl": jsonl(MORE)}, 7),
    # classes
    Case("classes named as grades", {"base/train.parquet": _parquet([{**row, "grade": int(row["grade"]) - 1} for row in ROWS], ["1", "2", "3", "4", "5"])}),
    Case("classes with words", {"base/train.parquet": _parquet([{**row, "grade": int(row["grade"]) - 1} for row in ROWS], ["poor", "weak", "fair", "good", "great"])}, 0, notes=('set grading.grades = ["poor", "weak", "fair", "good"]',), problems=("the grade is 'poor'",)),
    Case("classes with words as the scale", {"base/train.parquet": _parquet([{**row, "grade": int(row["grade"]) - 1} for row in ROWS], ["poor", "weak", "fair", "good", "great"]), "held/validation.jsonl": jsonl(graded_rows(2, 100, grade="Fair"))}, grading=Grading(grades=["poor", "weak", "fair", "good", "great"])),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_read_or_told(case: Case, tmp_path: Path) -> None:
    report = check(tmp_path, {**HELD, **case.files}, grading=case.grading, data=case.data)
    problems = "\n".join(map(str, report.problems))
    assert bool(report.problems) == bool(case.problems), problems
    assert sum(len(batch.examples) for batch in report.batches) == case.rows
    for part in case.problems:
        assert part in problems
    for part in case.notes:
        assert part in "\n".join(report.warnings)
    assert all(problem.cure and problem.exit_code in (2, 3) for problem in report.problems)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.problems and not case.notes], ids=lambda case: case.name
)
def test_what_is_read_without_a_note_is_read_as_it_was_written(case: Case, tmp_path: Path) -> None:
    report = check(tmp_path, {**HELD, **case.files}, grading=case.grading, data=case.data)
    first = sorted(example.submission for example in report.batches[0].examples)
    assert set(first) <= {str(row["submission"]) for row in [*ROWS, *MORE]}
    assert len(set(first)) == len(first)
    assert not [note for note in report.warnings if "system_prompt" not in note]


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b'{"text": "' + b" " * (200 << 20))
    report = check(tmp_path, {**HELD, "base/train.jsonl.gz": bomb})
    assert "unpacks to more than 64 MiB" in str(report.problems[0])
    assert "Unpack it yourself" in report.problems[0].cure


def test_all_that_is_wrong_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    lines = LINES.splitlines(keepends=True)
    lines[1:1] = [b'{"task": \n', b'["x"]\n', b'{"grade": NaN}\n', b'{"a": "\xff"}\n', b'{"a": "\xfe"}\n']
    lines += [b'{"submission": "x", "grade": 9, "task": "t", "rubric": "r", "feedback": "f"}\n', b"x" * 5000 + b"\n"]
    report = check(tmp_path, {**HELD, "base/train.jsonl": b"".join(lines)}, data=Data(max_line_bytes=4000))
    places = sorted(int(problem.where.rpartition(":")[2]) for problem in report.problems)
    assert places == [2, 3, 4, 5, 10, 11]
    assert "1 more lines are like this" in "".join(map(str, report.problems))
    assert all(problem.cure for problem in report.problems)


def test_all_that_is_wrong_in_a_table_and_in_an_array_is_told_at_once(tmp_path: Path) -> None:
    content = table(ROWS) + '"one","two"\n' + table(graded_rows(1, 9, grade=11)).splitlines()[1] + "\nx\n"
    report = check(tmp_path / "1", {**HELD, "base/train.csv": content})
    assert [problem.where.rpartition(":")[2] for problem in report.problems] == ["6", "8", "7"]
    array = json.dumps([*ROWS, 3, {"grade": float("nan")}, *graded_rows(1, 9, grade=11)], indent=None)
    report = check(tmp_path / "2", {**HELD, "base/train.json": array})
    assert [problem.where.rpartition("(row ")[2] for problem in report.problems] == [
        f"{tmp_path}/2/base/train.json:1"
    ] * 2 + ["7)"]


@pytest.mark.parametrize("held_out", ["val", "dev", "eval", "valid", "test", "test_sft"])
def test_saved_sets_with_other_names_of_splits(held_out: str, tmp_path: Path) -> None:
    import datasets

    trained = "train_sft" if held_out == "test_sft" else "train"
    sets = {trained: datasets.Dataset.from_list(ROWS), held_out: datasets.Dataset.from_list(MORE)}
    if held_out == "test_sft":
        sets["train_gen"] = datasets.Dataset.from_list(graded_rows(5, 60))
    datasets.DatasetDict(sets).save_to_disk(str(tmp_path / "base"))
    report = check(tmp_path, {})
    assert report.problems == []
    assert report.holdout is not None
    assert (len(report.batches[0].examples), len(report.holdout.examples)) == (4, 3)


def test_saved_class_labels_are_grades_by_their_names(tmp_path: Path) -> None:
    import datasets

    rows = [{**row, "grade": 4 - number} for number, row in enumerate(ROWS)]
    features = datasets.Features({name: datasets.Value("string") for name in ROWS[0]})
    features["grade"] = datasets.ClassLabel(names=["F", "D", "C", "B", "A"])
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(tmp_path / "base"))
    scale = Grading(grades=["F", "D", "C", "B", "A"])
    report = check(tmp_path, {"held/validation.jsonl": jsonl(graded_rows(2, 100, grade="B"))}, grading=scale)
    assert report.problems == []
    assert [example.completion[:8] for example in report.batches[0].examples] == [
        f"Grade: {letter}" for letter in "ABCD"
    ]
    assert [example.grade for example in report.batches[0].examples] == [5, 4, 3, 2]
