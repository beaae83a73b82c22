"""The race of all ways to a grade at a step's end: what takes part, that it is held once, and that it never hurts."""

import json
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import base_file, holdout_file, journal_of, last_run, make_workspace, states, train, workspace_of
from engine_helpers import write_rows as write
from msgspec.structs import replace

from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.grading import rivals
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState
from opeddev_tui.training import run_records, step_race

Make = Callable[..., Path]
GRADED: dict[str, object] = {"grading.evaluate": True, "training.num_train_epochs": 2}
CHEAP = {"commonest", "middle", "n-grams"}
STEP = {"step text", "step tokens", "step head", "base head"}


@pytest.fixture(scope="module")
def raced(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of graded rows. Read-only."""
    root = tmp_path_factory.mktemp("raced") / "workspace"
    make_workspace(root, tiny_model, rows=24, batches=(12,), holdout=10, settings=GRADED)
    train(root, "all")
    return root


def races(root: Path) -> list[ev.RaceHeld]:
    return [event for event in journal_of(root) if isinstance(event, ev.RaceHeld)]


def test_every_way_takes_part_on_the_same_rows(raced: Path) -> None:
    first, second = states(raced)
    (race,) = first.races.values()
    assert {way.way for way in race.ways} == CHEAP | STEP | {"base tokens"}
    (later,) = second.races.values()
    # a step from a checkpoint has not read the base model's grade tokens
    assert {way.way for way in later.ways} == CHEAP | STEP
    assert (race.rows, race.holdout_rows, later.rows) == (24, 10, 36)
    for way in (*race.ways, *later.ways):
        assert len(way.grades) == len(race.reference) == 10
        assert {"kappa", "exact", "within_one", "mae", "signed_error"} <= set(way.figures)
    by_name = {way.way: way for way in race.ways}
    assert by_name["step text"].seconds > 0
    assert {"nll", "calibration_error"} <= set(by_name["base head"].figures)
    assert by_name["base head"].claim
    assert by_name["step head"].claim
    assert race.chosen
    assert race.verdict.endswith(".")
    assert race.tuning.startswith("Fine-tuning")
    assert race.epoch == first.best_epoch()


def test_the_epochs_and_the_race_tell_the_same_of_the_cheap_ways(raced: Path) -> None:
    for state in states(raced):
        (race,) = state.races.values()
        figures = {way.way: way.figures for way in race.ways}
        assert len(state.grades) == 3
        for measured in state.grades.values():
            assert set(measured.n_grams) == {"kappa", "exact", "within_one", "mae"}
            assert all(figures["n-grams"][name] == found for name, found in measured.n_grams.items())
            assert measured.majority_exact == figures["commonest"]["exact"].value
            assert measured.middle_within_one == figures["middle"]["within_one"].value


def test_the_n_grams_are_fitted_once_per_step(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fitted = rivals.n_grams, []

    def counted(texts: Sequence[str], *rest: Any) -> rivals.RivalGrades:
        fitted.append(len(texts))
        return real(texts, *rest)

    monkeypatch.setattr(rivals, "n_grams", counted)
    root = workspace_factory(rows=20, batches=(12,), holdout=8, **GRADED)
    train(root, "all")
    assert fitted == [20, 32]
    assert all("exact" in measured.n_grams for state in states(root) for measured in state.grades.values())


def test_it_is_held_after_the_last_decision_and_before_the_end(raced: Path) -> None:
    kinds = [type(event) for event in journal_of(raced)]
    assert kinds.count(ev.RaceHeld) == 1
    assert max(at for at, kind in enumerate(kinds) if kind is ev.Decided) < kinds.index(ev.RaceHeld)
    assert kinds.index(ev.RaceHeld) < kinds.index(ev.RunFinished)


def test_the_runs_folder_keeps_it_for_its_owner_with_parts_calibration_and_sets(raced: Path) -> None:
    (race,) = races(raced)
    path = workspace_of(raced).race_file(last_run(raced).name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = json.loads(path.read_text())
    assert (kept["epoch"], kept["checkpoint"]) == (race.epoch, race.checkpoint)
    report = kept["report"]
    assert report["race"]["verdict"] == race.verdict
    assert report["sets"]["promised"] == 0.9
    assert sum(item["rows"] for item in report["calibration"]) == 10
    assert {part["by"] for part in report["parts"]} >= {"kind"}
    assert report["disputes"] >= len(report["disputed"]) > 0


def test_the_verdict_is_printed_and_logged(raced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (race,) = races(raced)
    with ConsoleView(CleanConsole()) as sink:
        for event in journal_of(raced):
            sink.emit(replace(event, at=time.time() + 1))
    words = " ".join(capsys.readouterr().out.split())
    assert race.verdict in words
    if race.needs:
        assert "is needed too: instead of the checkpoint" in words


@pytest.mark.parametrize("mode", ["text", "tokens", "head"])
def test_the_mode_of_the_settings_chooses(workspace_factory: Make, mode: str) -> None:
    root = workspace_factory(rows=20, holdout=8, **GRADED, **{"grading.mode": mode})
    train(root)
    (race,) = races(root)
    chosen = next(way for way in race.ways if way.way == race.chosen)
    assert chosen.mode == mode
    assert f'grading.mode = "{mode}"' in race.verdict


def test_rows_without_grades_have_no_race(workspace_factory: Make) -> None:
    root = workspace_factory(rows=12, **GRADED)
    for path, count in ((base_file(root), 12), (holdout_file(root), 4)):
        rows = [{"prompt": f"{path.stem} menu {n}", "completion": f"button {n}"} for n in range(count)]
        write(path, rows)
    train(root)
    assert races(root) == []
    assert not workspace_of(root).race_file(last_run(root).name).exists()
    assert states(root)[-1].status == "finished"


def test_a_race_that_fails_is_told_and_the_step_is_finished(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("the figures ran away")

    monkeypatch.setattr(step_race, "report_of", broken)
    root = workspace_factory(rows=20, **GRADED)
    train(root)
    (race,) = races(root)
    assert race.problem == "RuntimeError: the figures ran away"
    assert race.ways == ()
    state = states(root)[-1]
    assert state.status == "finished"
    assert any("the figures ran away" in warning for warning in state.warnings)


def test_too_few_training_grades_leave_the_written_grade_and_the_cheap_ways(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, holdout=8, **GRADED)
    train(root)
    (race,) = races(root)
    assert {way.way for way in race.ways} >= {"commonest", "middle", "step text"}
    assert not {"base head", "step head", "n-grams"} & {way.way for way in race.ways}
    assert race.problem == ""
    (state,) = states(root)
    assert state.grades
    assert all(measured.n_grams == {} for measured in state.grades.values())


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_run_that_dies_around_its_race_holds_it_once(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> Any:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(*((step_race, "report_of") if place == "before" else (run_records, "finished")), die)
        root = workspace_factory(rows=20, **GRADED)
        with pytest.raises(Died):
            train(root)
    assert len(races(root)) == (0 if place == "before" else 1)
    before = {epoch: read.ways for epoch, read in states(root)[-1].readings.items()}
    train(root)
    state = states(root)[-1]
    assert state.status == "finished"
    assert len(races(root)) == 1
    assert {way.way for way in races(root)[0].ways} == CHEAP | STEP | {"base tokens"}
    assert {epoch: read.ways for epoch, read in state.readings.items()} == before
    assert workspace_of(root).race_file(last_run(root).name).exists()


def test_where_an_earlier_epoch_is_best_its_model_is_raced(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunState, "best_epoch", lambda state: 1 if 1 in state.epochs else None)
    root = workspace_factory(rows=20, **GRADED)
    train(root)
    state = states(root)[-1]
    assert max(state.epochs) == 2
    assert list(state.races) == [1]
    assert state.races[1].checkpoint == ev.checkpoint_name(state.epochs[1].checkpoint)
    assert "step head" in {way.way for way in state.races[1].ways}
    assert set(state.heads) == {("base", 0), ("step", 1), ("step", 2)}
