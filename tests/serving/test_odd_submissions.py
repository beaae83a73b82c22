"""Diffs, zips and folders as they come from other systems and tools, and what each leaves out."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from opeddev_tui.config.settings import Data
from opeddev_tui.serving.items import Item
from opeddev_tui.serving.submissions import Per, Submissions

DIFF = """\
diff --git a/README.md b/README.md
--- a/README.md
+++ b/README.md
@@ -1 +1 @@
-old
+new
diff --git a/.github/x.js b/.github/x.js
--- a/.github/x.js
+++ b/.github/x.js
@@ -1 +1 @@
-old
+new
diff --git a/node_modules/q/index.js b/node_modules/q/index.js
new file mode 100644
--- /dev/null
+++ b/node_modules/q/index.js
@@ -0,0 +1 @@
+let q
diff --git a/link.html b/link.html
new file mode 120000
--- /dev/null
+++ b/link.html
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
diff --git a/library.js b/library.js
index 1..2 160000
--- a/library.js
+++ b/library.js
@@ -1 +1 @@
-Subproject commit 1
+Subproject commit 2
diff --git a/empty.html b/empty.html
new file mode 100644
index 0..e69de29
diff --git a/old.html b/moved.html
similarity index 100%
rename from old.html
rename to moved.html
diff --git a/src/page.html b/src/page.html
--- a/src/page.html
+++ b/src/page.html
@@ -1,2 +1,2 @@
-<b>old</b>
+<b>new</b>
 <i>é</i>
"""
LEFT_OUT = (
    "files that are no source code (1), hidden files and folders (1), files in folders of libraries (1), links (1), "
    "submodules (1), files without a changed line (1)"
)
WANTED = [("empty.html", ""), ("src/page.html", "<b>new</b>\n<i>é</i>\n")]


def coloured(diff: str) -> str:
    """Return a diff as ``git diff --color=always`` writes it."""
    colours = {"diff": "1", "--- ": "1", "+++ ": "1", "@@": "36", "+": "32", "-": "31"}
    lines = []
    for line in diff.splitlines():
        colour = next((number for start, number in colours.items() if line.startswith(start)), "")
        lines.append(f"\x1b[{colour}m{line}\x1b[m" if colour else line)
    return "\n".join(lines) + "\n"


def read(path: Path | str, *, per: Per = "file", given: bytes = b"") -> tuple[list[Item], Submissions]:
    found = Submissions([str(path)], Data(), per, io.BytesIO(given))
    return list(found.items()), found


@pytest.mark.parametrize("through", ["file", "stream"])
@pytest.mark.parametrize(
    "content",
    [
        DIFF.encode(),
        b"\xef\xbb\xbf" + DIFF.encode(),
        DIFF.encode("utf-16"),
        b"\xfe\xff" + DIFF.encode("utf-16-be"),
        coloured(DIFF).encode(),
    ],
    ids=["plain", "with a mark", "PowerShell", "big-endian", "coloured"],
)
def test_a_diff_is_read_as_tools_write_it_and_leaves_out_what_a_folder_does(
    tmp_path: Path, content: bytes, through: str
) -> None:
    (tmp_path / "changes.txt").write_bytes(content)
    items, found = read(tmp_path / "changes.txt") if through == "file" else read("-", given=content)
    assert [(item.name, item.fields["submission"]) for item in items] == WANTED
    assert found.skipped.words == LEFT_OUT
    assert found.only_diffs


def test_each_file_of_a_diff_has_its_own_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.diff").write_bytes(
        DIFF.encode() + b"--- a/latin.html\n+++ b/latin.html\n@@ -1 +1 @@\n-x\n+caf\xe9\n"
        b"--- a/dump.js\n+++ b/dump.js\n@@ -1 +1 @@\n-x\n+\0\1\2\n"
    )
    items, found = read(tmp_path / "a.diff")
    assert [(item.name, item.fields["submission"]) for item in items] == [*WANTED, ("latin.html", "café\n")]
    assert not any("UTF-8" in doubt for item in items[:-1] for doubt in item.doubts)
    assert "Windows-1252" in items[-1].doubts[-1]
    assert "binary files (1)" in found.skipped.words


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", ""), (b"nothing of a diff\n", "it is a diff without a changed file."), (b"\0", "binary")],
)
def test_a_file_called_a_diff_that_is_none_is_a_submission_that_says_so(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "a.patch").write_bytes(content)
    (item,), _ = read(tmp_path / "a.patch")
    assert told in item.problem
    assert item.problem or not item.fields["submission"]


def test_a_zip_of_windows_has_a_submission_per_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("ann\\index.html", "ann\\main.css", "ann-2\\a.html", "bob\\.git\\x.js", "bob\\", "..\\out.js"):
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, "<b>page</b>")
    items, found = read(tmp_path / "a.zip", per="folder")
    assert [item.file.rpartition("!")[2] for item in items] == ["..", "ann-2", "ann"]
    assert items[-1].fields["submission"].startswith("=== index.html ===\n<b>page</b>\n=== main.css ===\n")
    assert "leads out" in items[0].doubts[0]
    assert found.skipped.words == "hidden files and folders (1)"


def test_a_damaged_zip_or_file_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "a.html").write_text("<b>page</b>")
    found = Submissions([str(tmp_path / "a.zip"), str(tmp_path / "a.html")], Data())
    assert found.count() is None
    damaged, good = found.items()
    assert "not a whole zip" in damaged.problem
    assert good.fields["submission"] == "<b>page</b>"
    assert not found.only_diffs


def test_folders_in_each_other_to_any_depth_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("a.html").write_text("<b>page</b>")
    os.chdir(tmp_path)
    os.mkfifo("pipe.js")
    items, found = read(".")
    os.remove("d/" * 1200 + "a.html")
    for depth in range(1200, 0, -1):
        os.rmdir("d/" * depth)
    assert [item.fields["submission"] for item in items] == ["<b>page</b>"]
    assert found.skipped.words == "pipes, sockets and devices (1)"


def test_rows_are_numbered_from_zero_and_may_have_several_grades(tmp_path: Path) -> None:
    from opeddev_tui.config.settings import Settings
    from opeddev_tui.serving.asked import asked, filling

    rows = [{"id": 0, "submission": "a", "grades": [2, 5, 3]}, {"submission": "b", "grades": ["x"]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings()
    first, second = (
        asked(item.fields, item.file, settings, filling(settings)) for item in read(tmp_path / "a.jsonl")[0]
    )
    assert (first.id, first.reference) == ("0", "3")
    assert (second.id, second.reference) == ("", "")
