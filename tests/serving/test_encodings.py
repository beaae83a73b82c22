"""Every reader of source code reads it in every encoding that a mark tells, and the same text comes out."""

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from opeddev_tui.config.settings import Data, Settings
from opeddev_tui.data.formats import read_split
from opeddev_tui.data.trial_prompts import text_of_file
from opeddev_tui.data.ungraded import Usual, read_ungraded
from opeddev_tui.serving.submissions import Submissions

CODE = "/* Größe */\np { margin: 0 }\n"
DIFF = "--- /dev/null\n+++ b/a.css\n@@ -0,0 +1,2 @@\n+/* Größe */\n+p { margin: 0 }\n"
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


def _proposed(path: Path) -> str:
    (row,) = read_ungraded(path.parent, Settings(), Usual({}, {}, frozenset())).candidates
    return row.example.submission


def _row(path: Path) -> str:
    (row,) = read_split(path, Data()).rows
    return str(row.fields["submission"])


READERS: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "a file that is graded": ("a.css", CODE, _graded),
    "a diff that is graded": ("a.diff", DIFF, _graded),
    "a file that is proposed": ("a.css", CODE, _proposed),
    "a file that is tried": ("a.css", CODE, lambda path: text_of_file(path, 10_000)),
    "rows": ("a.jsonl", json.dumps({"submission": CODE}, ensure_ascii=False) + "\n", _row),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("reader", READERS)
def test_the_same_text_is_read(tmp_path: Path, reader: str, encoding: str) -> None:
    name, text, read = READERS[reader]
    mark, codec = ENCODINGS[encoding]
    (tmp_path / name).write_bytes(mark + text.encode(codec))
    assert read(tmp_path / name).strip() == CODE.strip()
