"""Every reader of source code reads it in every encoding that a mark tells, and the same text comes out."""

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import opeddev_tui
from opeddev_tui.config.settings import Data, Settings
from opeddev_tui.data.formats import read_split
from opeddev_tui.data.trial_prompts import text_of_file
from opeddev_tui.data.ungraded import Usual, read_ungraded
from opeddev_tui.serving.submissions import Submissions

CODE = "/* Größe */\np { margin: 0 }\n"
DIFF = "--- /dev/null\n+++ b/a.css\n@@ -0,0 +1,2 @@\n+/* Größe */\n+p { margin: 0 }\n"
ROW = json.dumps({"submission": CODE}, ensure_ascii=False) + "\n"
# the mark and the codec
ENCODINGS = {
    "UTF-8": (b"", "utf-8"),
    "UTF-8 with a mark": (codecs.BOM_UTF8, "utf-8"),
    "UTF-16 LE": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "UTF-16 BE": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "UTF-32 LE": (codecs.BOM_UTF32_LE, "utf-32-le"),
    "UTF-32 BE": (codecs.BOM_UTF32_BE, "utf-32-be"),
}


def _graded(path: Path) -> str:
    (item,) = Submissions([str(path)], Data()).items()
    assert not item.problem
    return str(item.fields["submission"])


def _streamed(path: Path) -> str:
    with path.open("rb") as file:
        (item,) = Submissions(["-"], Data(), standard_input=file).items()
    assert not item.problem
    return str(item.fields["submission"])


def _proposed(path: Path) -> str:
    (row,) = read_ungraded(path.parent, Settings(), Usual({}, {}, frozenset())).candidates
    return row.example.submission


def _row(path: Path) -> str:
    (row,) = read_split(path, Data()).rows
    return str(row.fields["submission"])


READERS: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "a file that is graded": ("a.css", CODE, _graded),
    "a diff that is graded": ("a.diff", DIFF, _graded),
    "a stream of code": ("a.css", CODE, _streamed),
    "a stream of rows": ("a.jsonl", ROW, _streamed),
    "a stream of one document": ("a.json", f"[\n{ROW}]", _streamed),
    "a stream of a diff": ("a.diff", DIFF, _streamed),
    "a file that is proposed": ("a.css", CODE, _proposed),
    "a file that is tried": ("a.css", CODE, lambda path: text_of_file(path, 10_000)),
    "rows": ("a.jsonl", ROW, _row),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("reader", READERS)
def test_the_same_text_is_read(tmp_path: Path, reader: str, encoding: str) -> None:
    name, text, read = READERS[reader]
    mark, codec = ENCODINGS[encoding]
    (tmp_path / name).write_bytes(mark + text.encode(codec))
    assert read(tmp_path / name).strip() == CODE.strip()


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [CODE, ROW])
def test_utf_16_without_a_mark_is_refused_with_the_cure(tmp_path: Path, codec: str, text: str) -> None:
    path = tmp_path / "a.css"
    path.write_bytes(text.encode(codec))
    with path.open("rb") as file:
        problems = [item.problem for item in Submissions(["-", str(path)], Data(), standard_input=file).items()]
    assert len(problems) == 2
    assert all("UTF-16" in problem and re.search("(?i)save .*as UTF-8", problem) for problem in problems), problems


def test_only_the_table_of_marks_has_them() -> None:
    """Another literal of a mark would be a reader with its own idea of encodings."""
    source = Path(opeddev_tui.__file__).parent
    marks = re.compile(r"\\x(?:ef\\xbb\\xbf|ff\\xfe|fe\\xff)", re.IGNORECASE)
    found = {str(file.relative_to(source)) for file in source.rglob("*.py") if marks.search(file.read_text())}
    assert found == {"data/byte_order.py"}
