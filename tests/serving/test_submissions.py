"""What is graded: files, folders, rows, diffs, zips and streams, and what each says where it cannot be read."""

import io
import json
import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from opeddev_tui.config.settings import Data
from opeddev_tui.errors import DataProblem
from opeddev_tui.serving import zips
from opeddev_tui.serving.diffs import changed_files
from opeddev_tui.serving.items import Item
from opeddev_tui.serving.submissions import Per, Submissions

SHORT = Data(max_line_bytes=1000)


def read(*places: Path | str, per: Per = "file", given: bytes = b"", data: Data = SHORT) -> tuple[list[Item], str]:
    found = Submissions([str(place) for place in places], data, per, io.BytesIO(given))
    return list(found.items()), found.skipped.words


def texts(items: Sequence[Item]) -> dict[str, str]:
    return {item.file.rpartition("/")[2]: item.problem or item.fields["submission"] for item in items}


# --- files and folders


def test_a_folder_is_a_submission_per_source_file_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    for name, content in {
        "a.html": b"<p>",
        "b.css": b"p {}",
        "empty.js": b"",
        "logo.png": b"\x89PNG\0",
        "odd.js": b"\0\1\2",
        "app.min.js": b"x",
        ".hidden.js": b"x",
        ".git/config": b"x",
        "node_modules/x/index.js": b"x",
        "deep/er/c.ts": b"let x",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.js").symlink_to(tmp_path / "a.html")
    items, skipped = read(tmp_path)
    assert texts(items) == {"a.html": "<p>", "b.css": "p {}", "c.ts": "let x", "empty.js": ""}
    for words in (
        "hidden files and folders (2)",
        "minified files (1)",
        "links (1)",
        "no source code (1)",
        "folders of libraries (1)",
        "binary files (1)",
    ):
        assert words in skipped
    assert Submissions([str(tmp_path)], SHORT).count() == 5


def test_a_folder_of_students_is_a_submission_each(tmp_path: Path) -> None:
    for name in ("ann/index.html", "ann/css/main.css", "bob/index.html", "loose.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    items, _ = read(tmp_path, per="folder")
    assert [item.file.rpartition("/")[2] for item in items] == ["ann", "bob", "loose.js"]
    assert items[0].fields[
        "submission"
    ] == "=== css/main.css ===\ncss/main.css\n=== index.html ===\nann/index.html".replace(
        "css/main.css\n=== i", "ann/css/main.css\n=== i"
    )
    assert Submissions([str(tmp_path)], SHORT, "folder").count() == 3
    (whole,), _ = read(tmp_path, per="whole")
    assert whole.fields["submission"].count("===") == 8


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\0\1", "binary"),
        (b"x" * 1001, "longer than 1000 bytes"),
        (b"\xff\xfea", "damaged UTF-16"),
        (b"caf\x81", "encoding is not known"),
        (bytes(range(1, 9)) * 9, "binary"),
    ],
)
def test_a_file_that_is_no_text_says_so(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.js").write_bytes(content)
    (item,), _ = read(tmp_path / "a.js")
    assert told in item.problem


def test_other_encodings_are_read_and_doubted(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_bytes("/* grün */".encode("cp1252"))
    (tmp_path / "b.css").write_bytes("\ufeff/* grün */".encode("utf-16-le"))
    (tmp_path / "c.css").write_bytes("\ufeff/* grün */".encode())
    items, _ = read(*(tmp_path / f"{name}.css" for name in "abc"))
    assert {text.lstrip("\ufeff") for text in texts(items).values()} == {"/* grün */"}
    assert [bool(item.doubts) for item in items] == [True, False, False]


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opeddev_tui.serving import folders

    real = folders.open_file

    def locked(path: Path) -> int:
        if path.name == "a.js":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(folders, "open_file", locked)
    for name in ("a.js", "b.js"):
        (tmp_path / name).write_text("x")
    items, _ = read(tmp_path)
    assert "permission" in items[0].problem.lower()
    assert items[1].fields["submission"] == "x"


def test_what_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    with pytest.raises(DataProblem, match=r"does not exist\. Did you mean .*index\.html"):
        read(tmp_path / "indx.html")
    with pytest.raises(DataProblem, match="can be read once"):
        read("-", "-")
    with pytest.raises(DataProblem, match="neither a file nor a folder"):
        read("/dev/null")


# --- rows and streams


def rows(count: int) -> list[dict[str, object]]:
    return [{"id": f"r{number}", "submission": f"<b>{number}</b>", "grade": 3} for number in range(count)]


def test_rows_keep_their_fields_and_a_bad_one_says_where_it_is(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in rows(2)]
    (tmp_path / "a.jsonl").write_text("\n".join([lines[0], "{broken", json.dumps({"id": 7, "x": 1}), lines[1]]))
    items, _ = read(tmp_path / "a.jsonl")
    assert [item.file.rpartition(":")[2] for item in items] == ["1", "2", "3", "4"]
    assert items[0].fields == rows(1)[0]
    assert "not valid JSON" in items[1].problem or "cut off" in items[1].problem
    assert "no submission, but id, x" in items[2].problem
    assert items[3].fields["id"] == "r1"


@pytest.mark.parametrize("kind", ["json", "csv", "wrapped"])
def test_other_files_of_rows_are_read_too(tmp_path: Path, kind: str) -> None:
    content = {
        "json": json.dumps(rows(2)),
        "csv": "Submission,grade\n<b>0</b>,3\n<b>1</b>,3\n",
        "wrapped": json.dumps({"data": rows(2)}),
    }[kind]
    path = tmp_path / f"a.{'csv' if kind == 'csv' else 'json'}"
    path.write_text(content)
    items, _ = read(path)
    assert [item.fields["submission"] for item in items] == ["<b>0</b>", "<b>1</b>"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (b"let x = 1;\n", ["let x = 1;\n"]),
        (b'{"submission": "a"}\n{"submission": "b"}\n', ["a", "b"]),
        (b'\n{"submission": "a"}', ["a"]),
        (b'[{"submission": "a"},\n {"submission": "b"}]', ["a", "b"]),
        (b'{"data": [{"submission": "a"}]}', ["a"]),
        (b"{\n  let x = 1;\n}\n", ["{\n  let x = 1;\n}\n"]),
        (b"[1, 2].map(f)", ["[1, 2].map(f)"]),
        (b"--- a/x.js\n+++ b/x.js\n@@ -1 +1 @@\n-a\n+b\n", ["b\n"]),
        (b"", [""]),
    ],
)
def test_the_standard_input_is_code_rows_or_a_diff(given: bytes, wanted: list[str]) -> None:
    items, _ = read("-", given=given)
    assert [item.fields["submission"] for item in items] == wanted


def test_a_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    child = os.fork()
    if not child:
        path.write_text("let x")
        os._exit(0)
    items, _ = read(path)
    os.waitpid(child, 0)
    assert [item.fields["submission"] for item in items] == ["let x"]


def paced(*places: Path | str, given: bytes = b"") -> list[str]:
    """Return the texts in their order, and a dash where what came before is to be answered first."""
    found = Submissions([str(place) for place in places], SHORT, "file", io.BytesIO(given))
    return ["-" if item is None else str(item.fields["submission"]) for item in found.paced()]


def test_what_comes_before_a_stream_is_answered_before_it_is_waited_for(tmp_path: Path) -> None:
    path, lines = tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows(2))
    path.write_text(lines)
    (tmp_path / "empty").mkdir()
    for before in ([path], [path, tmp_path / "empty"]):
        assert paced(*before, "-", given=b'{"submission": "a"}\n') == ["<b>0</b>", "<b>1</b>", "-", "a"]
    assert paced("-", path, given=b"x") == ["-", "x", "<b>0</b>", "<b>1</b>"]


# --- diffs

SHOWN = """\
commit 0123456789012345678901234567890123456789
Author: Ann <ann@example.org>

    --- not a file
    +++ nor this

diff --git a/old name.css b/new name.css
similarity index 90%
rename from old name.css
rename to new name.css
index 1..2 100644
--- a/old name.css
+++ b/new name.css
@@ -1,3 +1,4 @@ p {
 p {
--- looks like a header
+  color: red;
+++ so does this
 }
diff --git "a/gr\\303\\274n.js" "b/gr\\303\\274n.js"
new file mode 100644
--- /dev/null
+++ "b/gr\\303\\274n.js"
@@ -0,0 +1,2 @@
+let x;
+let y;
\\ No newline at end of file
diff --git a/gone.js b/gone.js
deleted file mode 100644
--- a/gone.js
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/logo.png b/logo.png
Binary files a/logo.png and b/logo.png differ
diff --git a/mode.sh b/mode.sh
old mode 100644
new mode 100755
--\x20
2.40.1
"""


def test_a_diff_is_the_new_side_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_text(SHOWN)
    items, skipped = read(tmp_path / "a.patch")
    assert [item.file.rpartition("!")[2] for item in items] == ["new name.css", "grün.js"]
    assert items[0].fields["submission"] == "p {\n  color: red;\n++ so does this\n}\n"
    assert items[1].fields["submission"] == "let x;\nlet y;\n"
    assert "only the changed parts" in items[0].doubts[0]
    assert items[1].doubts == ()
    assert (items[0].name, items[1].name) == ("new name.css", "grün.js")
    assert skipped == "deleted files (1), binary files (1), files that are no source code (1)"
    (whole,), _ = read(tmp_path / "a.patch", per="whole", data=Data(max_line_bytes=10_000))
    assert whole.fields["submission"] == SHOWN


def test_a_merge_and_a_diff_that_is_cut() -> None:
    merge = (
        "diff --cc a.js\nindex 1,2..3\n--- a/a.js\n+++ b/a.js\n@@@ -1,2 -1,2 +1,2 @@@\n  one\n- two\n -zwei\n++both\n"
    )
    (changed,) = changed_files(merge)
    assert (changed.text, changed.cut) == ("one\nboth\n", False)
    (cut,) = changed_files("--- a.js\t2020\n+++ a.js\t2021\n@@ -1,3 +1,3 @@\n one\n-two\n")
    assert (cut.path, cut.text, cut.cut) == ("a.js", "one\n", True)


# --- zips


def packed(path: Path, entries: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_zip_is_a_submission_per_file_or_folder(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "all.zip",
        {"ann/a.html": b"<a>", "ann/b.css": b"b", "bob/c.js": b"c", "__MACOSX/x.js": b"", "bob/d.png": b"\0"},
    )
    items, skipped = read(path)
    assert [item.file.rpartition("!")[2] for item in items] == ["ann/a.html", "ann/b.css", "bob/c.js"]
    assert "hidden" in skipped
    people, _ = read(path, per="folder")
    assert [item.file.rpartition("!")[2] for item in people] == ["ann", "bob"]
    assert people[0].fields["submission"] == "=== a.html ===\n<a>\n=== b.css ===\nb"
    assert Submissions([str(path)], SHORT).count() == 3
    streamed, _ = read("-", given=path.read_bytes())
    assert [item.fields["submission"] for item in streamed] == ["<a>", "b", "c"]
    assert all(item.file.startswith("standard input!") for item in streamed)


def test_what_is_hostile_in_a_zip_is_refused_and_stops_no_other(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../out.js", "x")
        archive.writestr("/abs.js", "x")
        archive.writestr("bomb.js", b" " * (4 << 20))
        link = zipfile.ZipInfo("link.js")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.js", "let x")
    items, skipped = read(path)
    told = {item.file.rpartition("!")[2]: item.problem for item in items}
    assert "leads out" in told["../out.js"]
    assert "leads out" in told["/abs.js"]
    assert "trap" in told["bomb.js"]
    assert told["good.js"] == ""
    assert "links (1)" in skipped


def test_an_encrypted_or_damaged_member_says_so(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.js": b"let x = 1" * 20, "b.js": b"let y"})
    whole = path.read_bytes()
    locked = bytearray(whole)
    for at in (whole.find(b"PK\x03\x04") + 6, whole.find(b"PK\x01\x02") + 8):
        locked[at] |= 1
    path.write_bytes(locked)
    items, _ = read(path)
    assert "encrypted" in items[0].problem
    assert items[1].fields["submission"] == "let y"
    damaged = bytearray(whole)
    damaged[whole.find(b"a.js") + 6] ^= 0xFF
    path.write_bytes(damaged)
    assert "damaged" in read(path)[0][0].problem
    path.write_bytes(whole[:60])
    (item,), _ = read(path)
    assert "not a whole zip" in item.problem


def test_a_zip_that_unpacks_to_too_much_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MOST_BYTES", 1000)
    path = packed(tmp_path / "a.zip", {f"{number}.js": os.urandom(300).hex().encode() for number in range(5)})
    items, _ = read(path)
    assert len(items) == 2
    assert "unpacks to more than" in items[-1].problem
    monkeypatch.setattr(zips, "MOST_ENTRIES", 3)
    (item,), _ = read(path)
    assert "more than 3 files" in item.problem
