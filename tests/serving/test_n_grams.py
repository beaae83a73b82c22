"""The n-gram grader, chosen by a person: kept with the checkpoint, graded with, exported; no model is loaded for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_helpers import copy_workspace, settings_of, states, workspace_of
from trained_graders import make_grader

from opeddev_tui.checkpoints import catalog, heads
from opeddev_tui.checkpoints.heads import heads_in
from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import load_holdout, load_step
from opeddev_tui.grading import store
from opeddev_tui.grading.contest import contest_rows
from opeddev_tui.runs.events import GradesRead
from opeddev_tui.runs.grade_records import N_GRAMS
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.runs.state import RunState
from opeddev_tui.serving.choice import choose
from opeddev_tui.serving.grader import Grader
from opeddev_tui.training import kept_n_grams


@pytest.fixture(scope="module")
def root(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose step was trained with ``grading.mode = "n-grams"``. Read-only."""
    return make_grader(tmp_path_factory.mktemp("n-grams") / "workspace", tiny_model, **{"grading.mode": "n-grams"})


def best(root: Path) -> Path:
    return catalog.find_entry(catalog.list_entries(workspace_of(root)), "best").folder


def test_the_race_says_that_a_person_chose_it_and_what_moves_it(root: Path) -> None:
    state = states(root)[0]
    race = state.race
    assert race is not None
    assert (race.chosen, race.needs) == (N_GRAMS, "")
    assert race.verdict.startswith("The n-gram grader grades")
    assert 'grading.mode = "n-grams" says so; the race would choose ' in race.verdict
    read = state.readings[race.epoch].by(N_GRAMS)
    assert read is not None
    assert len(read.grades) == len(read.sets) == len(read.probabilities) == 12
    raced = next(way for way in race.ways if way.way == N_GRAMS)
    assert raced.grades == read.grades
    assert (raced.mode, raced.cheap) == ("n-grams", True)


def test_it_comes_back_from_the_checkpoint_as_it_was(root: Path) -> None:
    folder = best(root)
    assert heads_in(folder) == ["base", "step", "n_grams"]
    assert catalog.problems_of(catalog.find_entry(catalog.list_entries(workspace_of(root)), "best")) == []
    stored = store.load_head(folder, base="", prompt="", model=store.N_GRAMS)
    assert stored.pieces is not None
    assert all(2 <= len(piece) <= 4 for piece in stored.pieces.known)
    assert stored.head.rows == 40
    assert store.load_head(folder, **origin(folder)).pieces is None


def origin(folder: Path) -> dict[str, str]:
    found = store.origin_of(folder)
    return {"base": found.base, "prompt": found.prompt}


def test_it_grades_as_recorded_and_loads_no_model(root: Path) -> None:
    settings = settings_of(root)
    grader = Grader.open(workspace_of(root), settings)
    assert (grader.models.base, grader.models.tuned) == (None, None)
    holdout = load_holdout(root, settings).examples
    rows = [{"submission": each.submission, "task": "t", "rubric": "r", "kind": each.kind} for each in holdout]
    found = grader.grade([grader.ask(row) for row in rows])
    race = states(root)[0].race
    assert race is not None
    recorded = states(root)[0].readings[race.epoch].by(N_GRAMS)
    assert recorded is not None
    assert tuple(item.grade for item in found) == recorded.grades
    assert {item.way for item in found} == {N_GRAMS}
    for item, chances, inside in zip(found, recorded.probabilities, recorded.sets, strict=True):
        assert tuple(item.probabilities.values()) == pytest.approx(chances, abs=1e-3)
        assert item.set == inside
    # it reads no prompt: a task that is not known is no reason to ask a person
    (bare,) = grader.grade([grader.ask({"submission": rows[0]["submission"], "kind": rows[0]["kind"]})])
    assert bare.grade == found[0].grade
    assert bare.why == found[0].why
    # the whole submission is read, however long the prompt
    (long,) = grader.grade([grader.ask({**rows[0], "submission": "<b>button</b>" * 5000})])
    assert not long.truncated
    assert not any("middle" in why for why in long.why)


def test_feedback_is_the_checkpoints_model(root: Path) -> None:
    grader = Grader.open(workspace_of(root), settings_of(root), texts=True)
    assert grader.models.tuned is not None
    (found,) = grader.grade([grader.ask({"submission": "<b>page</b>", "kind": "html"})], feedback=True)
    assert found.feedback is not None
    assert found.way == N_GRAMS


def test_the_command_grades_by_it_and_says_so(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    page.write_text("<b>menu menu menu page</b>")
    assert main(["grade", str(page), "-w", str(root), "--json", "--task", "t", "--rubric", "r"]) == 0
    told = capsys.readouterr()
    line = json.loads(told.out.splitlines()[0])
    assert line["way"] == "n-grams"
    assert line["graded_by"].startswith("n-grams of step 0")
    assert main(["grade", str(page), "-w", str(root), "--task", "t", "--rubric", "r"]) == 0
    told = capsys.readouterr()
    assert graded_by(N_GRAMS) in " ".join((told.out + told.err).split())


def test_another_way_can_be_chosen_of_the_same_checkpoint(root: Path) -> None:
    for mode, way in (("head", "base head"), ("tokens", "step tokens"), ("text", "step text"), ("auto", N_GRAMS)):
        assert choose(workspace_of(root), with_mode(root, mode)).way == way


def with_mode(root: Path, mode: str) -> Settings:
    return load(root, overrides=[f"grading.mode={mode}"]).settings


def test_a_checkpoint_without_it_says_so(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = make_grader(tmp_path / "workspace", tiny_model, **{"grading.evaluate": False})
    assert heads_in(best(without)) == []
    page = tmp_path / "page.html"
    page.write_text("<b>menu</b>")
    assert main(["grade", str(page), "-w", str(without), "--set", "grading.mode=n-grams"]) == 5
    told = capsys.readouterr().err
    assert "this checkpoint has no n-gram grader" in told
    assert 'train a step with grading.mode = "n-grams"' in told


def test_an_exported_folder_grades_alone_and_loads_no_model(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    assert main(["checkpoints", "export", "best", str(target), "--verify", "-w", str(root)]) == 0
    assert "12 of 12 grades equal" in " ".join(capsys.readouterr().out.split())
    script = (target / "grade.py").read_text()
    assert "torch" not in script
    card = (target / "README.md").read_text()
    assert "`n_grams_grade_head.*` reads no model" in card
    assert "needs numpy and safetensors, and nothing" in card
    # the model's weights are not touched
    for weights in target.glob("model*.safetensors"):
        weights.unlink()
    page = tmp_path / "page.html"
    page.write_text("<b>menu menu menu page</b>")
    done = subprocess.run(
        [sys.executable, "-I", str(target / "grade.py"), str(page)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["grade"] in (1, 2, 3, 4, 5)


def test_an_export_may_be_made_to_grade_by_it(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    words = ["checkpoints", "export", "best", str(target), "--way", "n-grams", "-w", str(root)]
    assert main([*words, "--set", "grading.mode=head"]) == 0
    assert json.loads((target / "grader.json").read_text())["way"] == "n-grams"


def test_a_race_that_is_held_again_keeps_the_same(root: Path, tmp_path: Path) -> None:
    copied = copy_workspace(root, tmp_path / "copy")
    settings, folder = settings_of(copied), best(copied)
    rows = contest_rows(load_step(copied, settings, 0), settings)
    before = {name: (folder / name).read_bytes() for name in heads.head_files(heads.N_GRAMS)}
    race = states(copied)[0].race
    assert race is not None
    events: list[GradesRead] = []
    bus: Any = SimpleNamespace(state=RunState(), emit=events.append)
    kept_n_grams.keep(folder, rows, bus, race.epoch, race.ids)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert catalog.problems_of(catalog.find_entry(catalog.list_entries(workspace_of(copied)), "best")) == []
    (read,) = events
    known = states(root)[0].readings[race.epoch].by(N_GRAMS)
    found = read.by(N_GRAMS)
    assert known is not None
    assert found is not None
    assert (found.grades, found.probabilities, found.sets) == (known.grades, known.probabilities, known.sets)
    assert (read.ids, read.reference) == (race.ids, race.reference)
