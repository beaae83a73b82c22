"""The file of results: it grows, goes on where a cut line ends, and leaves every other file as it is."""

from pathlib import Path

import pytest

from opeddev_tui.errors import StorageProblem
from opeddev_tui.serving.answers import COLUMNS, as_json, csv_line
from opeddev_tui.serving.asked import Graded
from opeddev_tui.serving.results import ResultsFile

ROW = as_json(Graded(index=0, file="a.html", grade="3", checkpoint="run/checkpoint-1", way="base head"), "content")


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        b"one line without an end",
        b"<b>minified</b>",
        b'{"a": 1}',
        b'{"identity": 1}',
        b"\n\nhello\n",
        b"id,name\n1,2\n",
        b"\x89PNG\r\n",
        b"\0",
    ],
)
def test_what_is_not_its_own_is_left_as_it_is(tmp_path: Path, content: bytes, as_csv: bool) -> None:
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(StorageProblem, match="left as it is"):
        ResultsFile(path, as_csv=as_csv)
    assert path.read_bytes() == content


@pytest.mark.parametrize("as_csv", [False, True])
def test_it_goes_on_wherever_a_process_was_killed(tmp_path: Path, as_csv: bool) -> None:
    path = tmp_path / "results"
    kept = ResultsFile(path, as_csv=as_csv)
    kept.add(ROW)
    kept.add({**ROW, "content": "other"})
    assert list(kept) == [(name, "run/checkpoint-1", "base head") for name in ("content", "other")]
    kept.close()
    whole = path.read_bytes()
    header = len(csv_line(COLUMNS)) + 1 if as_csv else 0
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        again = ResultsFile(path, as_csv=as_csv)
        assert len(again) == max(0, whole[:size].count(b"\n") - as_csv), size
        again.close()
        left = path.read_bytes()
        assert whole.startswith(left)
        assert left.endswith(b"\n") or not left
        assert len(left) >= header


def test_a_damaged_line_in_its_middle_is_graded_again(tmp_path: Path) -> None:
    path = tmp_path / "results"
    kept = ResultsFile(path, as_csv=False)
    kept.add(ROW)
    kept.close()
    path.write_bytes(path.read_bytes() + b"{}\n" + path.read_bytes().replace(b"content", b"other"))
    again = ResultsFile(path, as_csv=False)
    assert len(again) == 1
    again.close()
