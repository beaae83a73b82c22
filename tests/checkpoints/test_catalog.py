"""The checkpoints command: names, marks, JSON, pins, and a pruning that shows first and keeps what is needed."""

import json
import re
from pathlib import Path

import engine_helpers as helpers
import pytest

from opeddev_tui import format
from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.catalog import find_entry, list_entries
from opeddev_tui.cli import main


@pytest.fixture
def root(trained_workspace: Path, tmp_path: Path) -> Path:
    return helpers.copy_workspace(trained_workspace, tmp_path / "copy")


def call(root: Path, *words: str) -> int:
    return main(["checkpoints", *words, "-w", str(root)])


def test_the_list_is_the_documented_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "list", "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for field in entries[0]:
        assert f"`{field}`" in documented, field
    assert [entry["step"] for entry in entries] == [0, 0, 0, 1, 1, 1]
    last = entries[-1]
    assert {"latest", "chosen"} <= set(last["marks"])
    assert "start of step 1" in entries[2]["marks"]
    assert last["parent"].endswith(entries[2]["name"])
    assert last["interval"][0] <= last["gain"] <= last["interval"][1]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("latest", (1, 3)), ("step0", (0, 3)), ("step1:2", (1, 2)), ("best", None)],
)
def test_checkpoints_have_short_names(
    root: Path, capsys: pytest.CaptureFixture[str], reference: str, expected: tuple[int, int] | None
) -> None:
    assert call(root, "show", reference, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["problems"] == []
    assert shown["settings"]["training"]["seed"] == 42
    if expected is not None:
        assert (shown["step"], shown["epoch"]) == expected
    else:
        assert "best" in shown["marks"]


def test_marks_are_in_sight_in_80_columns(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns, aged in (("80", False), ("120", True)):
        monkeypatch.setenv("COLUMNS", columns)
        assert call(root, "list") == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= int(columns)
        assert "…" not in out
        heading = next(line.split() for line in out.splitlines() if line.startswith("checkpoint "))
        assert heading[-1] == "marks"
        assert ("age" in heading) == aged
        for mark in ("latest", "best", "start of step 1"):
            assert all(word in out for word in mark.split())


def test_fields_are_written_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere else; in 80 columns a place is one line, and names that differ at their ends are whole."""
    assert call(root, "show", "latest") == 0
    out = capsys.readouterr().out
    fields = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert re.fullmatch(r"\d+\.\d [KM]iB", fields["size"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", fields["created"])
    assert re.fullmatch(r"[+-]\d\.\d{4} to [+-]\d\.\d{4}", fields["interval"])
    assert (fields["published"], fields["lora"], fields["human"], fields["state"]) == ("yes", "no", "–", "verified")
    assert "latest" in fields["marks"].split(", ")
    assert Path(fields["folder"]).is_dir()
    assert not re.search(r"\b(?:True|False|None)\b|[()']", out)
    assert call(root, "diff", "step1:2", "step1:3") == 0
    words = "".join(capsys.readouterr().out.replace("│", " ").replace("┃", " ").split())
    for name in ("step1:2", "step1:3"):
        entry = find_entry(list_entries(helpers.workspace_of(root)), name)
        assert entry.name.rpartition("/")[2] in words
    assert "…" not in words


def test_an_unknown_name_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "show", "step9") == 4
    assert "no checkpoint is called step9. Write latest, best" in capsys.readouterr().err


def test_verify_reads_every_byte(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "verify") == 0
    entry = list_entries(helpers.workspace_of(root))[0]
    path = entry.folder / "optimizer.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert call(root, "verify") == 4
    assert f"{entry.name}: damaged: optimizer.pt has changed bytes" in " ".join(capsys.readouterr().out.split())


def test_pruning_shows_first_and_keeps_what_is_needed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = helpers.workspace_of(root)
    store = workspace.checkpoints(list_entries(workspace)[0].run)
    decoys = [store / name for name in ("checkpoint-best-KEEP", "checkpoint-notes", "checkpoint-12x", "checkpoint-7")]
    for decoy in decoys:
        decoy.mkdir()
        (decoy / "mine.txt").write_text("x")
    assert call(root, "pin", "step0:1") == 0
    before = helpers.tree(root)
    assert call(root, "prune") == 0
    assert "Nothing was deleted" in capsys.readouterr().out
    assert helpers.tree(root) == before
    assert call(root, "prune", "--yes") == 0
    left = list_entries(workspace)
    assert all(entry.marks for entry in left if entry.published)
    assert any("pinned" in entry.marks for entry in left)
    assert all((decoy / "mine.txt").exists() for decoy in decoys)
    assert len([entry for entry in left if entry.published]) < 6
    helpers.train(root, "1", new=True)  # what is left is enough to go on
    assert helpers.states(root)[-1].status == "finished"


def test_damaged_checkpoints_put_aside_are_pruned_and_nothing_that_only_looks_like_them(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = helpers.workspace_of(root)
    entry = list_entries(workspace)[1]
    run = workspace.checkpoints(entry.run)
    size = entry.size + (entry.folder / folders.MANIFEST).stat().st_size
    aside = folders.quarantine(entry.folder)
    digits = "1700000000000000000"
    names = ("damaged-checkpoint-5", f"damaged-checkpoint-5-{digits}0", f"damaged-checkpoint-x-{digits}",
             f"my-damaged-checkpoint-5-{digits}", f"damaged-checkpoint-5-{digits}.bak")  # fmt: skip
    decoys = [run / name for name in names]
    # right in name, but in no run of this workspace
    decoys += [workspace.store / aside.name, workspace.checkpoints("not-a-run") / aside.name]
    for decoy in decoys:
        decoy.mkdir(parents=True)
        (decoy / "mine.txt").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    link, file = run / f"damaged-checkpoint-6-{digits}", run / f"damaged-checkpoint-7-{digits}"
    link.symlink_to(tmp_path / "elsewhere")
    file.write_text("x")
    assert call(root, "prune") == 0
    shown = capsys.readouterr().out
    assert f"would be deleted: {entry.run}/{aside.name} ({format.size(size)}, damaged and quarantined)" in shown
    assert shown.count("damaged") == 2
    assert aside.is_dir()
    assert call(root, "prune", "step0:1", "--yes") == 0  # named checkpoints only
    assert aside.is_dir()
    assert call(root, "prune", "--yes") == 0
    assert not aside.exists()
    assert all((decoy / "mine.txt").exists() for decoy in decoys)
    assert link.is_symlink()
    assert file.exists()
    assert (tmp_path / "elsewhere").is_dir()


def test_a_difference_names_what_differs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "diff", "step0", "step1", "--json") == 0
    names = {item["name"] for item in json.loads(capsys.readouterr().out)}
    assert {"step", "rows", "val_loss"} <= names
    assert not any(name.startswith("settings.training") for name in names)


def test_the_recorded_loss_is_found_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "evaluate", "latest") == 0
    words = capsys.readouterr().out.split()
    assert float(words[words.index("loss") + 1]) == pytest.approx(float(words[-1].rstrip(")")), abs=1e-5)


def test_a_prompt_is_answered_and_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "generate", "latest", "Make a button.", "--against", "step0") == 0
    shown = capsys.readouterr().out
    names = [entry.name for entry in list_entries(helpers.workspace_of(root)) if "chosen" in entry.marks]
    assert all(name in shown.replace("\n", "") for name in names)


def test_status_names_runs_whole_on_a_narrow_terminal(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["status", "-w", str(root)]) == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    told = "".join(row[-2].strip() for row in rows)
    assert told == "".join(helpers.workspace_of(root).run_ids())
