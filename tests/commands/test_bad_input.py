"""Bad input through the command line: one clear sentence, the documented exit code, and nothing changed."""

# ruff: noqa: E501 - a case is one line of the table

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_helpers import (
    base_file,
    batch_file,
    holdout_file,
    make_rows,
    states,
    train,
    tree,
    workspace_of,
    write_rows,
)

from opeddev_tui import cli

Make = Callable[..., Path]


@dataclass(frozen=True)
class Case:
    """One way to be wrong: what is done to the workspace, the words, the exit code, and what must be told."""

    name: str
    spoil: Callable[[Path], None]
    code: int
    told: tuple[str, ...]
    words: tuple[str, ...] = ()


def _nothing(root: Path) -> None:
    """Leave the workspace as it is: the words are wrong."""


def _lines(path: Path, change: Callable[[list[bytes]], None]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def _line_57(content: bytes) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        write_rows(base_file(root), make_rows(60, "base"))
        _lines(base_file(root), lambda lines: lines.__setitem__(56, content + b"\n"))

    return spoil


def _row(**changes: object) -> bytes:
    return json.dumps({**make_rows(1, "spoilt")[0], **changes}).encode()


def _empty_batch(root: Path) -> None:
    batch_file(root, 1).write_bytes(b"")


def _empty_folder(root: Path) -> None:
    batch_file(root, 1).unlink()


def _half_parquet(root: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = base_file(root).with_suffix(".parquet")
    parquet.write_table(pyarrow.Table.from_pylist(make_rows(20, "base")), path)
    base_file(root).unlink()
    os.truncate(path, path.stat().st_size // 2)


def _half_saved(root: Path) -> None:
    import datasets

    base_file(root).unlink()
    folder = base_file(root).parent
    datasets.Dataset.from_list(make_rows(20, "base")).save_to_disk(str(folder))
    (arrow,) = folder.glob("*.arrow")
    os.truncate(arrow, arrow.stat().st_size // 2)


def _leak(root: Path) -> None:
    held = make_rows(6, "holdout")[2]
    held["submission"] = f"  {held['submission']}\n".replace(" ", "   ")
    with batch_file(root, 1).open("a") as file:
        file.write(json.dumps(held) + "\n")


def _config(text: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / "config.toml"
        path.write_text(f"{path.read_text()}\n{text}\n")

    return spoil


def _setting(section: str, line: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / "config.toml"
        path.write_text(path.read_text().replace(f"[{section}]\n", f"[{section}]\n{line}\n"))

    return spoil


def _no_weights(root: Path) -> None:
    _own_model(root)
    (root / "mine/model.safetensors").unlink()


def _half_weights(root: Path) -> None:
    _own_model(root)
    path = root / "mine/model.safetensors"
    os.truncate(path, path.stat().st_size // 2)


def _a_weight_less(root: Path) -> None:
    from safetensors.torch import load_file, save_file

    _own_model(root)
    weights = load_file(root / "mine/model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, root / "mine/model.safetensors", metadata={"format": "pt"})


def _no_tokenizer(root: Path) -> None:
    _own_model(root)
    (root / "mine/tokenizer.json").unlink()


def _broken_model_config(root: Path) -> None:
    _own_model(root)
    (root / "mine/config.json").write_text("{")


def _own_model(root: Path) -> None:
    """Give the workspace a copy of the model that may be spoilt; ``model.name`` is in the words of the case."""
    import shutil

    shutil.copytree(Path(workspace_settings(root)["model"]["name"]), root / "mine")


def workspace_settings(root: Path) -> dict[str, dict[str, str]]:
    import tomllib

    return tomllib.loads((root / "config.toml").read_text())


def _in_the_way(root: Path) -> None:
    (root / "models/qwen3_webdev").mkdir(parents=True)


MINE = ("--set", "model.name=mine")
CASES = [
    # data
    Case("empty batch", _empty_batch, 3, ("batch_100_01/rows.jsonl", "holds no rows", "Put rows into it"), ("--step", "1")),
    Case("empty folder", _empty_folder, 3, ("batch_100_01: is an empty folder", ".jsonl"), ("--step", "1")),
    Case("no base set", lambda root: base_file(root).unlink(), 3, ("processed_webdev_coding", "empty folder")),
    Case("no hold-out", lambda root: holdout_file(root).unlink(), 3, ("holdout_webdev_coding",)),
    Case("half-written Parquet", _half_parquet, 3, ("train.parquet", "is not a whole Parquet file", "write or copy it again")),
    Case("half-written saved set", _half_saved, 3, ("cannot be loaded as a saved data set", "save_to_disk")),
    Case("broken line 57", _line_57(b'{"task": "x", '), 3, ("train.jsonl:57", "a quote or bracket is never closed", "Finish the row")),
    Case("no JSON in line 57", _line_57(b"task: x"), 3, ("train.jsonl:57", "JSON")),
    Case("two rows in line 57", _line_57(_row() + b" " + _row()), 3, ("train.jsonl:57", "has more after the row")),
    Case("NaN grade", _line_57(_row(grade=float("nan"))), 3, ("train.jsonl:57", "NaN")),
    Case("grade out of range", _line_57(_row(grade=9)), 3, ("train.jsonl:57", "the grade is 9", "from 1 to 5")),
    Case("grade that is a text", _line_57(_row(grade="good")), 3, ("train.jsonl:57", "the grade is 'good'", "from 1 to 5")),
    Case("empty submission", _line_57(_row(submission=" ")), 3, ("train.jsonl:57", "submission is empty")),
    Case("no grade", _line_57(b'{"task": "x", "submission": "y"}'), 3, ("train.jsonl:57", "lacks grade")),
    Case("another schema", _line_57(b'{"text": "x"}'), 3, ("train.jsonl:57", "lacks submission and grade", "looks like text")),
    Case("invalid UTF-8", _line_57(b'{"task": "\xff\xfe"}'), 3, ("train.jsonl:57", "UTF-8")),
    Case("deep nesting", _line_57(b'{"task": ' + b"[" * 20000 + b"]" * 20000 + b"}"), 3, ("train.jsonl:57", "nested")),
    Case("duplicate keys", _line_57(b'{"task": "x", "task": "y"}'), 3, ("train.jsonl:57", "twice")),
    Case("half a character", _line_57(b'{"task": "\\ud800", "submission": "y", "grade": 1}'), 3, ("train.jsonl:57", "surrogate")),
    Case("hold-out leak", _leak, 3, ("batch_100_01/rows.jsonl:9", "validation.jsonl:3", "Remove it from one of the two"), ("--step", "1")),
    Case("no row fits", _nothing, 3, ("no training row fits", "Raise data.max_length"), ("--set", "data.max_length=32", "--set", "data.min_prompt_tokens=64")),
    # settings
    Case("unknown key", _setting("training", "learning_rat = 1e-5"), 2, ("config.toml", "training.learning_rat", "Did you mean training.learning_rate?")),
    Case("unknown section", _config("[trainin]\nseed = 1"), 2, ("config.toml", "[trainin]", "Did you mean training?")),
    Case("wrong type", _config('[ui]\nguard_ms = "fast"'), 2, ("config.toml", "ui.guard_ms = 'fast' is not allowed", "a whole number")),
    Case("wrong value", _nothing, 2, ("--set", "training.seed = -1", "a whole number"), ("--set", "training.seed=-1")),
    Case("no value", _nothing, 2, ("--set", "'training.seed' is not a setting"), ("--set", "training.seed")),
    Case("broken TOML", _config("[training"), 2, ("config.toml", "not valid TOML", "line")),
    Case("owned argument", _nothing, 2, ("training.arguments.output_dir is owned by the app", "own folder"), ("--set", "training.arguments.output_dir='x'")),
    Case("unknown argument", _nothing, 2, ("training.arguments.adam_beta", "Did you mean adam_beta"), ("--set", "training.arguments.adam_beta=0.9")),
    Case("wrong argument", _nothing, 2, ("[training]", "refuses these settings"), ("--set", "training.arguments.optim='nope'")),
    Case("pattern without a group", _nothing, 2, ("grading.pattern has no group",), ("--set", "grading.pattern=Grade")),
    Case("template that tells", _nothing, 2, ("grading.prompt_template", "would tell the model the answer"), ("--set", "grading.prompt_template={grade}")),
    # models
    Case("unknown model", _nothing, 5, ("model.name", "nobody/nothing", "Check model.name and the network"), ("--set", "model.name=nobody/nothing")),
    Case("unknown folder", _nothing, 5, ("model.name", "./models/nothing"), ("--set", "model.name=./models/nothing")),
    Case("model without weights", _no_weights, 5, ("model.name", "/mine", "complete model folder"), MINE),
    Case("model with half its weights", _half_weights, 5, ("model.name", "/mine", "complete model folder"), MINE),
    Case("model that lacks a weight", _a_weight_less, 5, ("model.name", "/mine", "lacks 1 weight, such as model.layers.1.mlp"), MINE),
    Case("model without a tokenizer", _no_tokenizer, 5, ("model.name", "/mine", "complete model folder"), MINE),
    Case("model with a broken config", _broken_model_config, 5, ("model.name", "/mine"), MINE),
    # places and steps
    Case("unknown step", _nothing, 6, ("there is no step 9", "Steps 0 to 1"), ("--step", "9")),
    Case("no step at all", _nothing, 6, ("there is no step first",), ("--step", "first")),
    Case("step before its turn", _nothing, 6, ("step 1 starts from step 0, which is not trained",), ("--step", "1")),
    Case("no such checkpoint", _nothing, 4, ("nowhere: is not a checkpoint to start from", "Choose latest, best"), ("--from", "nowhere")),
    Case("link in the way", _in_the_way, 4, ("models/qwen3_webdev: is in the way of the link", "Move it away")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_told_clearly_and_changes_nothing(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    # what concerns step 1 needs a step 0 that is there
    root = workspace_factory(rows=8, batches=(8,), **{"training.num_train_epochs": 1})
    if "--step" in case.words and case.code == 3:
        train(root)
    case.spoil(root)
    before = tree(root)
    assert cli.main(["train", "-w", str(root), *case.words]) == case.code
    told = capsys.readouterr().err.strip()
    for part in case.told:
        assert part in told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1
    assert tree(root) == before


def test_the_exit_codes_are_documented() -> None:
    for case in CASES:
        assert f"  {case.code}  " in cli.EXIT_CODES
    assert "130 / 143" in cli.EXIT_CODES


def test_a_bom_is_accepted(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 1})
    base_file(root).write_bytes(b"\xef\xbb\xbf" + base_file(root).read_bytes())
    (root / "config.toml").write_bytes(b"\xef\xbb\xbf" + (root / "config.toml").read_bytes())
    assert cli.main(["train", "-w", str(root)]) == 0
    started = states(root)[0].started
    assert started is not None
    assert started.rows == 8


def test_a_hold_out_that_changed_is_refused(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(rows=8, batches=(8,), **{"training.num_train_epochs": 1})
    train(root)
    write_rows(holdout_file(root), make_rows(7, "holdout"))
    before = tree(root)
    assert cli.main(["train", "-w", str(root)]) == 3
    told = capsys.readouterr().err
    assert "the hold-out is not the one that earlier runs were scored on (6 rows then, 7 now)" in told
    assert "Restore it, or delete .specs/holdout.json" in told
    assert tree(root) == before


def test_every_problem_is_told_at_once(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(rows=60)
    for number, content in ((3, b"{"), (57, _row(grade=0))):
        _lines(base_file(root), lambda lines, at=number, new=content: lines.__setitem__(at - 1, new + b"\n"))  # type: ignore[misc]
    assert cli.main(["train", "-w", str(root)]) == 3
    # a broken line ends the reading of its file; wrong values in whole lines are all told
    assert "train.jsonl:3" in capsys.readouterr().err
    write_rows(base_file(root), make_rows(60, "base"))
    for number in (3, 57):
        _lines(base_file(root), lambda lines, at=number: lines.__setitem__(at - 1, _row(grade=0) + b"\n"))  # type: ignore[misc]
    assert cli.main(["train", "-w", str(root)]) == 3
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 2
    assert "train.jsonl:3" in told[0]
    assert "train.jsonl:57" in told[1]


@pytest.mark.parametrize("command", ["train", "check", "status", "doctor"])
def test_no_such_workspace(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "-w", str(tmp_path / "nowhere")]) == 2
    told = capsys.readouterr().err
    assert "nowhere: there is no such folder. Make a workspace: opeddev-tui init" in told
    assert list(tmp_path.glob("nowhere")) == []
    (tmp_path / "file").write_text("kept")
    assert cli.main([command, "-w", str(tmp_path / "file")]) == 2
    assert "file: it is a file. A workspace is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["open", "attach"])
def test_the_app_takes_its_workspace_as_a_word_or_as_other_commands_do(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, other = str(tmp_path / "gone"), str(tmp_path / "other")
    for words in ([gone], ["-w", gone], [gone, "-w", gone], ["--workspace", gone]):
        assert cli.main([command, *words]) == 2
        assert f"{gone}: there is no such folder" in capsys.readouterr().err
    assert cli.main([command, gone, "-w", other]) == 2
    assert f"two workspaces are named: {gone} and {other}. Name one." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.1.1", "which is each machine itself"), ("10.0.0.7", "node1 is 10.0.0.7"), (None, "no address belongs to")],
)
def test_doctor_says_how_many_processes_would_train_and_whether_others_find_this_machine(
    address: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def resolve(_: str) -> str:
        if address is None:
            raise OSError("unknown")
        return address

    monkeypatch.setattr("socket.gethostbyname", resolve)
    monkeypatch.setattr("platform.node", lambda: "node1")
    assert cli.main(["init", str(tmp_path / "work")]) == 0
    assert cli.main(["doctor", "-w", str(tmp_path / "work"), "--set", "training.num_processes=2"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 (training.num_processes = 2)" in printed
    assert told in printed


def test_a_workspace_without_a_base_set_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    assert cli.main(["train", "-w", str(tmp_path)]) == 3
    told = capsys.readouterr().err
    assert "the base set does not exist" in told
    assert "opeddev-tui demo" in told


def test_check_finds_the_same_and_exits_with_1(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(batches=(8,))
    _leak(root)
    before = tree(root)
    assert cli.main(["check", "-w", str(root)]) == 1
    assert "the hold-out row" in " ".join(capsys.readouterr().out.split())
    assert tree(root) == before


CHECKED = [case for case in CASES if case.code in (2, 3, 5)]


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_check_says_in_json_what_it_says_in_text(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setenv("COLUMNS", "9999")
    root = workspace_factory(rows=8, batches=(8,))
    case.spoil(root)
    words = ["check", "-w", str(root), *(() if "--step" in case.words else case.words)]
    code = cli.main(words)
    text = capsys.readouterr()
    assert cli.main([*words, "--json"]) == code
    shown = capsys.readouterr()
    if case.code == 2 and code == 2:
        assert (text.out, shown.out) == ("", "")
        assert shown.err == text.err
        return
    found = json.loads(shown.out)
    assert found["trainable"] == (code == 0)
    problems = [
        " ".join(filter(None, (f"{one['where']}:" if one["where"] else "", one["message"], one["cure"])))
        for one in found["problems"]
    ]
    lines = [line.rstrip() for line in text.out.splitlines()]
    assert [line.removeprefix("problem: ") for line in lines if line.startswith("problem: ")] == problems
    assert [line.removeprefix("note: ") for line in lines if line.startswith("note: ")] == found["notes"]
    assert lines[-1] == (
        f"{len(problems)} problem{'s' * (len(problems) > 1)}." if problems else "Everything can be trained on."
    )
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in lines if line.startswith("│")]
    assert cells == [[one["name"], str(one["rows"])] for one in found["sets"]]
    if case.code == 3:
        assert any(all(part in problem for part in case.told) for problem in problems), problems


@pytest.fixture
def read_only(workspace_factory: Make) -> Iterator[Path]:
    """A workspace on a file system that cannot be written."""
    root = workspace_factory()
    words = ["mount", "--bind", str(root), str(root)]
    if os.getuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(root)], check=True)
    yield root
    subprocess.run(["umount", "-l", str(root)], check=True)


def test_a_read_only_workspace(read_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(read_only)
    assert cli.main(["train", "-w", str(read_only)]) == 4
    assert "cannot be written: read-only file system." in capsys.readouterr().err
    assert tree(read_only) == before
    assert cli.main(["status", "-w", str(read_only)]) == 0
    assert not workspace_of(read_only).runs.exists()
