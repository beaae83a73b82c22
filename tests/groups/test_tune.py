"""Settings are compared on folds of the training rows: the hold-out is never opened, a kill costs one training."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
from forked_children import fork_children

from opeddev_tui.analysis.tune_table import tune_table
from opeddev_tui.cli import main
from opeddev_tui.config.loading import SAVED_NAME, load
from opeddev_tui.data.folds import folds_of
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import DataProblem, Problem
from opeddev_tui.groups.tune_settings import full_name, read_grid, searchable
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.runs.tunings import Cell, Tuning, cell_folder, list_tunings, place_of, results_of

Make = Callable[..., Path]


def row(number: int, text: str, group: str = "") -> Example:
    """Return a row whose submission is ``text``."""
    return Example(
        prompt=(Message("user", text),), completion="Grade: 3", grade=3, kind="html", where=f"row {number}",
        id=str(number), submission=text, group=group,
    )  # fmt: skip


def tuning(folds: int = 2, **changes: object) -> Tuning:
    """Return a comparison of two settings."""
    values: dict[str, object] = {
        "id": "t", "step": 0, "batch": "base", "parent": "", "grid": (("training.seed=1",), ("training.seed=2",)),
        "folds": folds, "seed": 1, "metric": "loss", "rows": "r",
    }  # fmt: skip
    return Tuning(**{**values, **changes})  # type: ignore[arg-type]


def scored(*sums: float, tokens: tuple[int, ...] = ()) -> RunState:
    """Return the state of a training whose held-out rows have these summed losses."""
    counts = tokens or (10,) * len(sums)
    loss = sum(sums) / sum(counts)
    return reduce(
        [
            ev.HoldoutEvaluated(epoch=1, loss=loss, sums=sums, tokens=counts),
            ev.EpochFinished(epoch=1, train_loss=1.0, val_loss=loss, samples_per_second=1.0, global_step=1),
        ]
    )


# --- folds


def test_copies_and_groups_stay_in_one_fold() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
    long = " ".join(words)
    examples = [
        row(0, "one page"), row(1, "one  page"), row(2, "another", "ann"), row(3, "a third", "ann"),
        row(4, long), row(5, f"{long} nu"), *(row(number, f"alone {number}") for number in range(6, 20)),
    ]  # fmt: skip
    for seed in range(5):
        places = folds_of(examples, 4, seed, 0.8)
        assert places[0] == places[1]
        assert places[2] == places[3]
        assert places[4] == places[5]
        sizes = [places.count(fold) for fold in range(4)]
        assert sum(sizes) == 20
        assert max(sizes) - min(sizes) <= 1
        assert folds_of(examples, 4, seed, 0.8) == places


def test_rows_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(DataProblem, match="make 1 parts"):
        folds_of([row(number, f"text {number}", "ann") for number in range(9)], 2, 1, 0.8)


# --- names and values


def test_short_names_mean_what_the_step_trains_with(workspace_factory: Make) -> None:
    assert full_name("learning_rate", lora=False, from_parent=False) == "training.learning_rate"
    assert full_name("learning_rate", lora=False, from_parent=True) == "training.resume_learning_rate"
    assert full_name("learning_rate", lora=True, from_parent=True) == "lora.learning_rate"
    assert full_name("r", lora=True, from_parent=False) == "lora.r"
    for name in searchable():
        assert full_name(name, lora=True, from_parent=False) == name
    grid = read_grid(
        workspace_factory(), ["learning_rate=1e-5,2e-5", "r=8,16"], ["lora.enabled=true"], from_parent=False
    )
    assert len(grid) == 4
    assert grid[1] == ("lora.learning_rate=1e-5", "lora.r=16")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["learning_rte=1,2"], "Did you mean training.learning_rate"),
        (["training.learning_rat=1e-5,2e-5"], "Did you mean training.learning_rate"),
        (["learning_rate=5,1e-5"], "training.learning_rate = 5 is not allowed"),
        (["learning_rate=1e-5,oops"], "is not allowed"),
        (["r=8,16"], "Add --set lora.enabled=true"),
        (["training.resume_learning_rate=1e-5,2e-5"], "That is training.learning_rate"),
        (["early_stop.metric=loss,grade"], "cannot be compared"),
        (["paths.base=a,b"], "cannot be compared"),
        (["seed=1,2", "training.seed=3,4"], "given twice"),
        (["weight_decay=0,0.0"], "there twice"),
        (["seed=1"], "1 settings to compare"),
        (["seed=" + ",".join(map(str, range(65)))], "65 settings to compare"),
        (["seed"], "gives no values"),
        (["seed="], "gives no values"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_starts(
    workspace_factory: Make, words: list[str], told: str
) -> None:
    with pytest.raises(Problem, match=told.replace("(", r"\(")):
        read_grid(workspace_factory(), words, [], from_parent=False)


# --- the table


def test_a_difference_within_the_noise_is_called_that() -> None:
    clear = {Cell(0, fold): scored(*[20.0 + i for i in range(10)]) for fold in range(2)}
    clear |= {Cell(1, fold): scored(*[10.0 + i for i in range(10)]) for fold in range(2)}
    table = tune_table(tuning(), clear)
    assert (table.best, table.second, table.sure) == (1, 0, True)
    assert table.difference == pytest.approx(1.0)
    assert table.settings[1].spread is not None
    assert table.settings[1].spread.n == 2
    assert "more than the noise" in table.words
    noisy = {Cell(0, fold): scored(*[20.0 + i % 2 for i in range(10)]) for fold in range(2)}
    noisy |= {Cell(1, fold): scored(*[20.9 - i % 2 for i in range(10)]) for fold in range(2)}
    table = tune_table(tuning(), noisy)
    assert not table.sure
    assert "within the noise" in table.words


def test_settings_that_encode_rows_differently_are_not_compared_row_by_row() -> None:
    results = {Cell(0, fold): scored(1.0, 2.0) for fold in range(2)}
    results |= {Cell(1, fold): scored(1.0, 2.0, tokens=(9, 11)) for fold in range(2)}
    table = tune_table(tuning(), results)
    assert table.difference is None
    assert "cannot be compared row by row" in table.words


def test_nothing_wins_before_two_settings_have_every_fold() -> None:
    table = tune_table(tuning(), {Cell(0, 0): scored(1.0), Cell(0, 1): scored(1.0), Cell(1, 0): scored(0.5)})
    assert table.best is None
    assert table.settings[1].folds == (0.05, None)


# --- all of it


def test_the_real_thing_never_opens_the_hold_out_and_goes_on_after_a_kill(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=12, **{"training.num_train_epochs": 1})
    # whoever opens it fails
    eh.holdout_file(root).write_bytes(b"\xff not rows")
    words = ["learning_rate=1e-5,5e-3", "--folds", "2"]
    process = eh.Command(["tune", "-w", str(root), *words], root.parent / "tune.out", fork_children)

    def some() -> bool:
        return bool(known := list_tunings(workspace)) and bool(results_of(workspace, known[0]))

    workspace = eh.workspace_of(root)
    assert eh.wait_until(some, process), process.text()
    assert process.kill_hard()
    (begun,) = list_tunings(workspace)
    done = results_of(workspace, begun)
    journals = {cell: (cell_folder(workspace, begun, cell) / "events.jsonl").read_bytes() for cell in done}
    again = eh.Command(["tune", "-w", str(root), *words], root.parent / "tune.out", fork_children)
    assert again.code() == 0, again.text()
    assert f"{4 - len(done)} trainings" in again.text()
    assert list_tunings(workspace) == [begun]
    for cell, before in journals.items():
        assert (cell_folder(workspace, begun, cell) / "events.jsonl").read_bytes() == before
    # nothing of it is among the workspace's runs, and no checkpoint is left
    assert workspace.run_ids() == []
    assert list(place_of(workspace, begun).store.glob("*/checkpoint-*")) == []
    assert not workspace.holdout_record.exists()
    _shown_and_written(root, capsys)


def _shown_and_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (root / "config.toml").read_bytes()
    assert main(["tune", "-w", str(root), "--json", "--write"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"] == 1
    assert found["tuning"]["grid"][1] == ["training.learning_rate=5e-3"]
    assert (root / "config.toml").read_bytes() == config
    saved = tomllib.loads((root / SAVED_NAME).read_text())
    assert saved == {"training": {"learning_rate": 0.005}}
    assert load(root, environment={}).settings.training.learning_rate == 0.005
