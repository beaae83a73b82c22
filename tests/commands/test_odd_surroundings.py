"""Commands where something that is always there is missing: a home, a folder to stand in, an input, a locale."""

import os
import subprocess
import sys
from pathlib import Path

import engine_helpers as eh
from leftovers import ended

PYTHON = sys.executable
SOURCE = str(Path(__file__).parents[2])


def call(
    words: list[str], cwd: Path | None = None, before: str = "", **changed: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command from a shell; ``before`` is what the shell does first, None removes a variable."""
    environment = {**os.environ, "PYTHONPATH": SOURCE, **changed}
    given = {name: value for name, value in environment.items() if value is not None}
    script = f'{before}\nexec "$0" -m opeddev_tui "$@"'
    return subprocess.run(
        ["sh", "-c", script, PYTHON, *words], cwd=cwd, env=given, capture_output=True, text=True, check=False
    )


def test_a_folder_that_was_deleted_under_the_shell(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    done = call(["status"], before=f"cd '{tmp_path}/here' && rmdir ../here")
    assert done.returncode == 4, done
    assert "Traceback" not in done.stderr
    assert "no such file or directory" in done.stderr


def test_no_home(trained_workspace: Path) -> None:
    assert call(["status", "-w", str(trained_workspace)], HOME=None).returncode == 0
    assert call(["check", "-w", str(trained_workspace)], HOME="/nonexistent", XDG_CONFIG_HOME=None).returncode == 0


def test_no_input_for_a_note(trained_workspace: Path, tmp_path: Path) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "w")
    done = call(["note", "-w", str(root)], before="exec <&-")
    assert done.returncode == 1, done
    assert "Nothing was written" in done.stderr


def test_a_terminal_that_knows_only_ascii(trained_workspace: Path) -> None:
    done = call(["check", "-w", str(trained_workspace)], LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done
    assert done.stdout.isascii()
    assert "Everything can be trained on" in done.stdout


def test_an_output_that_another_process_made_non_blocking(trained_workspace: Path) -> None:
    """``cat`` reads slowly; the pipe that is full for a moment loses nothing."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    words = [PYTHON, "-m", "opeddev_tui", "checkpoints", "list", "--json", "-w", str(trained_workspace)]
    process = subprocess.Popen(words, stdout=writing, env={**os.environ, "PYTHONPATH": SOURCE})
    os.close(writing)
    with ended(subprocess.Popen(["sh", "-c", "sleep 1; cat"], stdin=reading, stdout=subprocess.PIPE)) as slow:
        os.close(reading)
        assert slow.stdout is not None
        told = slow.stdout.read()
    assert process.wait() == 0
    assert told.count(b'"folder"') == 6
    assert told.rstrip().endswith(b"]")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A folder whose name is not UTF-8: no record could hold it."""
    root = tmp_path / os.fsdecode(b"caf\xe9")
    (root / "datasets").mkdir(parents=True)
    for words in (["status", "-w"], ["check", "-w"], ["train", "-w"], ["init"], ["demo", "--headless"]):
        done = call([*words, str(root)])
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 2, done
        assert "the folder's path is not UTF-8 text. Rename that folder." in done.stderr
    assert [path.name for path in root.iterdir()] == ["datasets"]


def test_a_batch_whose_name_is_no_text_is_named(trained_workspace: Path, tmp_path: Path) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "w")
    eh.write_rows(root / "datasets/incremental" / os.fsdecode(b"batch_\xff") / "rows.jsonl", eh.make_rows(4, "x"))
    for words, code in ((["train"], 3), (["check"], 1), (["status"], 0), (["status", "--json"], 0)):
        done = call([*words, "-w", str(root)])
        assert done.returncode == code, done
        assert "the batch's name is not UTF-8 text. Rename it." in " ".join((done.stdout + done.stderr).split())


def test_a_folder_for_temporary_files_that_is_missing(trained_workspace: Path, tmp_path: Path) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "w")
    assert call(["plot", "-w", str(root)], TMPDIR="/nonexistent").returncode == 0
