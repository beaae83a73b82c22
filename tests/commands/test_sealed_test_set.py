"""The sealed test set: never trained on, never shown, scored on request, every look counted."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import (
    base_file,
    copy_workspace,
    holdout_file,
    last_run,
    make_readable_rows,
    make_rows,
    train,
    write_rows,
)

from opeddev_tui import cli
from opeddev_tui.config.loading import load
from opeddev_tui.data.batches import check_data, load_step
from opeddev_tui.errors import Problems
from opeddev_tui.runs.looks import read_looks
from opeddev_tui.workspace.paths import test_looks_file as looks_file

Make = Callable[..., Path]
WORD = "zebracrossing"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def sealed_rows(count: int = 12) -> list[dict[str, object]]:
    """Rows with a word of their own, which must not turn up anywhere."""
    rows = make_rows(count, "sealed")
    return [{**row, "id": f"{WORD}-{at}", "submission": f"{row['submission']} {WORD}"} for at, row in enumerate(rows)]


@pytest.fixture
def root(workspace_factory: Make) -> Path:
    made = workspace_factory(rows=20, holdout=8, **{"paths.test": "test.jsonl", "training.num_train_epochs": 1})
    write_rows(made / "test.jsonl", sealed_rows())
    return made


def score(root: Path, *words: str) -> int:
    return cli.main(["test", "-w", str(root), *words])


def problems(root: Path) -> str:
    return "\n".join(map(str, check_data(root, load(root, environment={}).settings).problems))


def test_every_look_is_counted_and_told_beside_the_figures(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(root) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "Look 1 at this test set" in words
    assert "12 rows, 12 of them graded." in words
    assert "nats per token" in words
    for name in ("base head", "n-grams", "commonest"):
        assert sum(line.startswith(f"{name} ") for line in out.splitlines()) == 1, out
    assert WORD not in out
    assert score(root, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["look"], found["looks"], found["rows"], found["graded"]) == (2, 2, 12, 12)
    assert {"commonest", "middle", "n-grams", "base head"} <= {row["name"] for row in found["race"]["rows"]}
    look = read_looks(root).looks[-1]
    assert look.figures["n-grams"]["exact"][0] == next(
        row["figures"]["exact"]["value"] for row in found["race"]["rows"] if row["name"] == "n-grams"
    )
    assert look.losses == {name: loss["value"] for name, loss in found["losses"].items()}
    assert score(root) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Look 3 at this test set" in words
    assert "flattered" in words
    assert WORD not in looks_file(root).read_text()
    # the list of looks is no look
    assert score(root, "--looks") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert read_looks(root).count == 3


def test_other_rows_are_counted_anew_and_that_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(root) == 0
    write_rows(root / "test.jsonl", sealed_rows(14))
    assert score(root) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Look 1 at this test set" in words[100:]
    assert "Before, there was 1 look at other rows." in words


def test_a_damaged_line_still_counts_as_a_look(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looks_file(root).parent.mkdir(exist_ok=True)
    looks_file(root).write_bytes(b'{"checkpoint": "cut sho')
    assert score(root, "--json") == 0
    assert json.loads(capsys.readouterr().out)["look"] == 2


def test_figures_are_not_shown_where_the_look_cannot_be_recorded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks_file(root).mkdir(parents=True)
    assert score(root) == 4
    told = capsys.readouterr()
    assert "kappa" not in told.out
    assert "cannot be written" in told.err


def test_a_checkpoint_is_scored_beside_the_base_model(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(root)
    assert score(root, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert any("checkpoint" in name for name in found["losses"])
    assert {"base head", "step head"} <= {row["name"] for row in found["race"]["rows"]}
    assert "checkpoint" in read_looks(root).looks[0].checkpoint
    # nothing of the test set went into the run
    for path in (root / "logs").rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path
    assert last_run(root).is_dir()


def test_a_head_that_is_held_steady_is_scored_as_such(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(base_file(root), make_readable_rows(20, "base"))
    found = []
    for words in ((), ("--set", "grading.steady=true")):
        assert score(root, "--json", *words) == 0
        rows = json.loads(capsys.readouterr().out)["race"]["rows"]
        found.append({row["name"]: row["figures"] for row in rows})
    assert found[0]["base head"] != found[1]["base head"]
    assert found[0]["base tokens"] == found[1]["base tokens"]


def test_check_counts_the_rows_and_names_nothing_of_them(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "-w", str(root)]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("│ test "))
    assert "12" in line
    assert WORD not in out


WRONG = {
    "a grade off the scale": {"grade": 97531},
    "no submission": {"submission": ""},
    "no feedback": {"feedback": None},
    "a weight that is none": {"weight": WORD},
    "criteria off the scale": {"criteria": {WORD: 99}},
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_test_rows_are_told_by_place_alone(root: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = sealed_rows()
    rows[4] = {**rows[4], **WRONG[case]}
    write_rows(root / "test.jsonl", rows)
    told = problems(root)
    assert "1 problem with rows of the test set" in told
    assert "test.jsonl:5" in told
    assert WORD not in told
    assert "97531" not in told
    assert score(root) == 3
    assert WORD not in capsys.readouterr().err
    assert read_looks(root).count == 0


def test_test_rows_in_training_or_hold_out_are_refused_without_naming_them(root: Path) -> None:
    sealed = sealed_rows()
    write_rows(base_file(root), [*make_rows(20, "base"), {**sealed[3], "id": "mine"}])
    write_rows(holdout_file(root), [*make_rows(8, "holdout"), {**sealed[5], "id": "other"}])
    told = problems(root)
    assert "a row of the test set is trained on here." in told
    assert "a row of the test set is in the hold-out here." in told
    assert "test.jsonl" not in told
    with pytest.raises(Problems):
        train(root)


def test_near_copies_of_test_rows_are_noted_as_those_of_the_hold_out(root: Path) -> None:
    text = " ".join(f"word{at} of its own" for at in range(40))
    rows = sealed_rows()
    rows[0]["submission"] = text
    write_rows(root / "test.jsonl", rows)
    base = make_rows(20, "base")
    base[2]["submission"] = f"{text} and a little more"
    write_rows(base_file(root), base)
    settings = load(root, environment={}).settings
    assert any("like a row of the test set" in note for note in load_step(root, settings, 0).warnings)


def test_the_hold_out_cannot_be_the_test_set_too(workspace_factory: Make) -> None:
    made = workspace_factory(**{"paths.test": "datasets/holdout_webdev_coding"})
    assert "a row of the test set is in the hold-out here." in problems(made)


PLACES = {
    "a folder with a test split": ("sealed", "sealed/test.jsonl"),
    "a folder with any name": ("sealed", "sealed/rows.jsonl"),
    "a table": ("sealed.csv", "sealed.csv"),
    "test beside train": ("both", "both/test-00000.jsonl"),
}


@pytest.mark.parametrize("case", PLACES)
def test_the_same_readers_find_the_test_rows(workspace_factory: Make, case: str) -> None:
    setting, file = PLACES[case]
    root = workspace_factory(**{"paths.test": setting})
    rows = sealed_rows(5)
    if file.endswith(".csv"):
        lines = [",".join(rows[0]), *(",".join(f'"{value}"' for value in row.values()) for row in rows)]
        (root / file).write_text("\n".join(lines))
    else:
        write_rows(root / file, rows)
    if case == "test beside train":
        write_rows(root / "both/train-00000.jsonl", make_rows(3, "unused"))
    report = check_data(root, load(root, environment={}).settings)
    assert report.problems == []
    assert report.test is not None
    assert len(report.test.examples) == 5


@pytest.mark.parametrize(("place", "sentence"), [("nowhere.jsonl", "does not exist"), ("empty", "is an empty folder")])
def test_a_place_without_rows_is_said(workspace_factory: Make, place: str, sentence: str) -> None:
    root = workspace_factory(**{"paths.test": place})
    (root / "empty").mkdir()
    assert sentence in problems(root)


def test_without_a_setting_there_is_no_test_set(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory()
    assert score(root) == 2
    assert "there is no test set" in capsys.readouterr().err
    assert not looks_file(root).exists()


def test_rows_without_grades_are_scored_by_their_loss(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "grading.pattern=never (x)", "--json"]
    chats = [
        {"messages": [{"role": "user", "content": str(row["submission"])}, {"role": "assistant", "content": "fine"}]}
        for row in make_rows(30, "chat")
    ]
    write_rows(base_file(root), chats[:16])
    write_rows(holdout_file(root), chats[16:22])
    write_rows(root / "test.jsonl", chats[22:])
    assert score(root, *settings) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["graded"], found["race"]) == (8, 0, None)
    assert os.listdir(looks_file(root).parent)


def test_a_damaged_checkpoint_is_no_look(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    write_rows(root / "test.jsonl", sealed_rows())
    for weights in root.rglob("model.safetensors"):
        if "checkpoint" in str(weights):
            weights.write_bytes(weights.read_bytes()[:-8])
    assert score(root, "--set", "paths.test=test.jsonl") == 4
    assert "cannot be trusted" in capsys.readouterr().err
    assert read_looks(root).count == 0
