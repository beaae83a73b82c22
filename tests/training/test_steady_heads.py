"""``grading.steady``: both heads are held steady with copies of training rows of their own model, and it is told."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import (
    base_file,
    batch_file,
    epoch_one_ends,
    holdout_file,
    interrupt,
    journal_of,
    last_run,
    make_readable_rows,
    make_workspace,
    of,
    settings_of,
    sha256,
    states,
    train,
    write_rows,
)
from msgspec.structs import replace
from trained_graders import read_again

from opeddev_tui import cli
from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.grading.steady_rows import NO_COMMENT, Copies
from opeddev_tui.runs import events as ev
from opeddev_tui.training import graded_step

Make = Callable[..., Path]
PLAIN: dict[str, object] = {"grading.evaluate": True, "training.num_train_epochs": 2, "data.max_length": 256}
STEADY: dict[str, object] = {**PLAIN, "grading.steady": True}
SIZES: dict[str, Any] = {"rows": 24, "holdout": 10}


def readable(root: Path, batches: int = 0) -> Path:
    """Give ``root`` rows whose grade a head can read."""
    write_rows(base_file(root), make_readable_rows(24, "base"))
    write_rows(holdout_file(root), make_readable_rows(10, "holdout"))
    for number in range(1, batches + 1):
        write_rows(batch_file(root, number), make_readable_rows(12, f"batch{number}"))
    return root


@pytest.fixture(scope="module")
def steadied(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps with heads that are held steady. Read-only."""
    root = tmp_path_factory.mktemp("steadied") / "workspace"
    readable(make_workspace(root, tiny_model, batches=(12,), settings=STEADY, **SIZES), 1)
    train(root, "all")
    return root


@pytest.fixture(scope="module")
def plain(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of these steps with plain heads. Read-only."""
    root = tmp_path_factory.mktemp("plain") / "workspace"
    readable(make_workspace(root, tiny_model, settings=PLAIN, **SIZES))
    train(root)
    return root


def kept(root: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted((last_run(root) / "grading").iterdir())}


# --- what is fitted


def test_both_heads_differ_from_plain_ones_and_nothing_else_does(steadied: Path, plain: Path) -> None:
    one, other = states(steadied)[0], states(plain)[0]
    assert [item.digest for item in one.checkpoints.values()] == [item.digest for item in other.checkpoints.values()]
    for way in ("base head", "step head"):
        held, loose = (state.readings[2].by(way) for state in (one, other))
        assert held is not None
        assert loose is not None
        assert held.probabilities != loose.probabilities
        held_kappa, loose_kappa = (item.figures["kappa"].value for item in (held, loose))
        assert held_kappa is not None
        assert loose_kappa is not None
        assert held_kappa > 0.4
        assert held_kappa == pytest.approx(loose_kappa, abs=0.3)
    tokens = [state.readings[2].by("step tokens") for state in (one, other)]
    assert tokens[0] == tokens[1]


def test_the_journal_says_with_how_many_rows_and_what_that_cost(steadied: Path, plain: Path) -> None:
    one, two = states(steadied)
    told = [(key, head.steadied, head.steady_read) for key, head in one.heads.items()]
    assert told == [(("base", 0), 24, 24), (("step", 2), 24, 24)]
    # on the base model the copies of rows that were there before are known
    told = [(key, head.steadied, head.steady_read) for key, head in two.heads.items()]
    assert told == [(("base", 0), 36, 12), (("step", 2), 36, 36)]
    # what reading the rows themselves cost is told apart
    assert [head.read for head in one.heads.values()] == [head.read for head in states(plain)[0].heads.values()]
    assert all(head.steady_seconds > 0 for head in (*one.heads.values(), *two.heads.values()))
    for head in states(plain)[0].heads.values():
        assert (head.steadied, head.steady_read, head.steady_seconds) == (0, 0, 0)
    assert not [warning for warning in one.warnings if "grading.steady" in warning]


def test_the_console_says_it(steadied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleView(CleanConsole()) as sink:
        for event in journal_of(steadied):
            sink.emit(replace(event, at=time.time() + 1))
    out = capsys.readouterr().out
    assert out.strip("\n") == out.removesuffix("\n")
    words = " ".join(out.split())
    assert "reason for a grade, with 36 changed training rows, 12 of them read again in" in words


def test_a_head_from_disk_grades_as_the_run_recorded(steadied: Path) -> None:
    """The shrinking is folded into the weights: who reads the head need not know of it."""
    examples = load_holdout(steadied, settings_of(steadied)).examples
    assert all(recorded.grades == grades for recorded, grades in read_again(steadied, 2, examples))


def test_race_measures_the_head_as_the_step_made_it(steadied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are those of the last step: all features are known, and the figures are the run's to the last digit."""
    (race,) = of(steadied, ev.RaceHeld)
    assert cli.main(["race", "-w", str(steadied), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["models"][0]["read"], found["models"][0]["steady"]["read"]) == (0, 0)
    assert found["models"][0]["steady"]["copies"] == 36
    (entered,) = [row for row in found["race"]["rows"] if row["name"] == "base head"]
    (recorded,) = [way for way in race.ways if way.way == "base head"]
    for name in ("kappa", "nll"):
        assert entered["figures"][name]["value"] == pytest.approx(recorded.figures[name].value, abs=1e-9)
    report = json.loads((last_run(steadied) / "race.json").read_text())["report"]
    assert found["disputed"] == report["disputed"]


# --- resumed


def test_a_resumed_run_must_have_the_same_setting_and_keeps_its_head(workspace_factory: Make, steadied: Path) -> None:
    root = readable(workspace_factory(**SIZES, **STEADY))
    interrupt(root, epoch_one_ends)
    before = kept(root)
    with pytest.raises(TrainingProblem, match=r"grading\.steady was True and is False"):
        train(root, overrides=["grading.steady=false"])
    train(root)
    assert kept(root) == before
    one, other = states(root)[-1], states(steadied)[0]
    assert one.status == "finished"
    for epoch, read in other.readings.items():
        again = one.readings[epoch]
        assert [replace(way, seconds=0) for way in again.ways] == [replace(way, seconds=0) for way in read.ways]


def test_a_kept_head_of_the_other_sort_is_fitted_again(workspace_factory: Make, plain: Path) -> None:
    root = readable(workspace_factory(**SIZES, **STEADY))
    interrupt(root, epoch_one_ends)
    steady = kept(root)
    for path in (last_run(plain) / "grading").iterdir():
        (last_run(root) / "grading" / path.name).write_bytes(path.read_bytes())
    train(root)
    assert kept(root) == steady != kept(plain)


# --- none to be had


def test_where_no_row_can_take_a_comment_it_is_said_once_and_heads_are_plain(
    workspace_factory: Make, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graded_step, "steadying_copies", lambda *_: Copies(missing=NO_COMMENT))
    root = readable(workspace_factory(**SIZES, **STEADY))
    interrupt(root, epoch_one_ends)
    train(root)
    state = states(root)[-1]
    assert [warning for warning in state.warnings if "grading.steady" in warning] == [
        f"grade heads are not held steady (grading.steady): {NO_COMMENT}"
    ]
    assert [head.steadied for head in state.heads.values()] == [0, 0]
    held, loose = (item.readings[2].by("base head") for item in (state, states(plain)[0]))
    assert held is not None
    assert loose is not None
    assert held.probabilities == loose.probabilities
