"""Grade heads in a training: fitted on base and step, read with the loss, kept, sealed, exported, never in the way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_helpers import (
    base_file,
    checkpoint_folder,
    epoch_one_ends,
    holdout_file,
    interrupt,
    last_run,
    make_rows,
    make_workspace,
    place_of,
    settings_of,
    states,
    train,
    workspace_of,
    write_rows,
)
from msgspec.structs import replace
from trained_graders import read_again

from opeddev_tui import cli
from opeddev_tui.checkpoints import catalog, folders
from opeddev_tui.grading import store
from opeddev_tui.grading.reader import FeatureReader
from opeddev_tui.models import loading
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import STEP_HEAD, STEP_TEXT, STEP_TOKENS
from opeddev_tui.runs.state import RunState
from opeddev_tui.training import base_head, step_heads

Make = Callable[..., Path]
GRADED: dict[str, object] = {"grading.evaluate": True, "training.num_train_epochs": 2}


@pytest.fixture(scope="module")
def graded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps, all parameters trained, rows long enough to be cut. Read-only."""
    root = tmp_path_factory.mktemp("graded") / "workspace"
    settings = {**GRADED, "data.max_length": 50}
    make_workspace(root, tiny_model, rows=24, batches=(12,), holdout=10, settings=settings)
    train(root, "all")
    return root


def ways_of(state: RunState) -> dict[int, list[str]]:
    return {epoch: [way.way for way in read.ways] for epoch, read in state.readings.items()}


def last_checkpoint(root: Path) -> Path:
    finished = states(root)[-1].finished
    assert finished is not None
    return place_of(root, finished.last_checkpoint)


# --- what is read and recorded


def test_every_epoch_has_the_base_head_and_the_models_own_tokens_and_the_last_one_its_own_head(graded: Path) -> None:
    for state in states(graded):
        assert ways_of(state) == {
            0: ["base head", "step tokens"],
            1: ["base head", "step tokens"],
            2: ["base head", "step tokens", "step head"],
        }
        first, *later = state.readings.values()
        assert all(read.by("base head") == first.by("base head") for read in later)
        assert len(first.ids) == len(first.reference) == 10
        for way in state.readings[2].ways:
            assert np.sum(way.probabilities, axis=1) == pytest.approx(np.ones(10), abs=3e-4)
            assert set(way.grades) <= set(first.labels)
            assert way.figures["kappa"].value is not None
            assert (len(way.sets) == 10) == (way.way != "step tokens")


def test_the_grades_of_tables_and_curves_are_those_of_the_models_tokens(graded: Path) -> None:
    state = states(graded)[-1]
    for epoch, measured in state.grades.items():
        tokens = state.readings[epoch].by("step tokens")
        assert tokens is not None
        assert (measured.way, measured.parsed) == ("step tokens", 1.0)
        assert [str(grade) for grade in measured.predicted] == list(tokens.grades)
        assert [str(grade) for grade in measured.reference] == list(state.readings[epoch].reference)
        assert measured.exact == pytest.approx(tokens.figures["exact"].value)
        assert measured.kappa == tokens.figures["kappa"].value
        assert measured.classifier_exact is None


def test_heads_tell_what_was_read_and_what_their_claim_is_worth(graded: Path) -> None:
    one, two = states(graded)
    assert [(key, head.rows) for key, head in one.heads.items()] == [(("base", 0), 24), (("step", 2), 24)]
    # the rows and the hold-out; rows that are alike once they are cut are read once
    assert 24 < one.heads["base", 0].read <= 34
    assert one.heads["step", 2].read == 24
    # the base model is read for the new rows alone, though the step starts from a checkpoint
    assert [(key, head.rows, head.read) for key, head in two.heads.items()] == [
        (("base", 0), 36, 12),
        (("step", 2), 36, 36),
    ]
    assert "has not trained on these rows" in two.heads["base", 0].claim
    assert "has trained on these rows" in two.heads["step", 2].claim
    assert two.heads["base", 0].out_of_fold["kappa"].value is not None


def test_grades_change_neither_the_weights_nor_the_losses(graded: Path, tiny_model: Path, tmp_path: Path) -> None:
    plain = make_workspace(
        tmp_path / "plain",
        tiny_model,
        rows=24,
        holdout=10,
        settings={**GRADED, "data.max_length": 50, "grading.evaluate": False},
    )
    train(plain)
    one, other = states(graded)[0], states(plain)[0]
    assert other.readings == {}
    assert [item.digest for item in one.checkpoints.values()] == [item.digest for item in other.checkpoints.values()]
    assert [item.sums for item in one.holdout.values()] == [item.sums for item in other.holdout.values()]


# --- on disk


def test_heads_are_sealed_with_the_checkpoint_and_belong_to_base_and_step(graded: Path, tiny_model: Path) -> None:
    base = fingerprint(loading.load_model(str(tiny_model), settings_of(graded).model))
    for folder in folders.list_folders(checkpoint_folder(graded)):
        assert folders.problems_of(folder, for_resume=True) == []
        manifest = folders.manifest_of(folder)
        assert manifest.grades_with == str(tiny_model)
        assert set(store.head_files(store.BASE)) <= set(manifest.files)
        assert store.origin_of(folder).base == base
        assert (folder / "grade_head.json").read_bytes() == (last_run(graded) / "grading/grade_head.json").read_bytes()
    last = last_checkpoint(graded)
    assert store.origin_of(last, store.STEP).base == folders.manifest_of(last).digest == folders.weights_digest(last)
    assert store.head_files(store.STEP)[0] in folders.manifest_of(last).files
    (last / "step_grade_head.safetensors").touch()
    entries = catalog.list_entries(workspace_of(graded))
    assert all(entry.grades_with == str(tiny_model) for entry in entries)


def test_two_checkpoints_are_compared_by_the_way_that_read_both(
    graded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = catalog.list_entries(workspace_of(graded))
    measured = states(graded)[0].grades
    assert [entry.kappa for entry in entries[:2]] == [measured[1].kappa, measured[2].kappa]
    # the step's own head is fitted and its texts are read at its end: the first epoch is compared by what read both
    assert [{item.way for item in entry.graded} for entry in entries[:2]] == [
        {STEP_TOKENS},
        {STEP_HEAD, STEP_TOKENS, STEP_TEXT},
    ]
    assert cli.main(["checkpoints", "diff", "step0:1", "step0:2", "-w", str(graded)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Grading by the grade tokens of each one's model: kappa " in told
    monkeypatch.setenv("COLUMNS", "160")
    assert cli.main(["checkpoints", "list", "-w", str(graded)]) == 0
    assert "kappa" in capsys.readouterr().out
    assert cli.main(["checkpoints", "list", "--json", "-w", str(graded)]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["graded_by"] for item in listed[:2]] == [measured[1].way, measured[2].way]
    assert "graded" not in listed[0]


def test_a_damaged_head_makes_a_checkpoint_damaged(workspace_factory: Make) -> None:
    root = workspace_factory(holdout=8, **GRADED)
    train(root)
    path = last_checkpoint(root) / "step_grade_head.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert folders.problems_of(path.parent) == ["step_grade_head.safetensors has changed bytes"]


def test_a_head_from_disk_grades_the_hold_out_as_the_run_recorded(graded: Path) -> None:
    """Rows that were cut are read alike with and without their completions, and by a model loaded anew."""
    examples = [example for example in _holdout(graded) if example.grade is not None]
    state = states(graded)[-1]
    assert state.data is not None
    assert state.data.shortened > 10
    assert all(recorded.grades == grades for recorded, grades in read_again(graded, 2, examples))


def _holdout(root: Path) -> Any:
    from opeddev_tui.data.batches import load_holdout

    return load_holdout(root, settings_of(root)).examples


def test_an_export_takes_the_heads_along_and_names_the_base_model(graded: Path, tmp_path: Path) -> None:
    from opeddev_tui.exporting.folder import export

    workspace = workspace_of(graded)
    workspace.adopt()
    entry = catalog.find_entry(catalog.list_entries(workspace), "latest")
    target = export(workspace, entry, settings_of(graded), tmp_path / "exported").folder
    assert store.origin_of(target).base == store.origin_of(entry.folder).base
    assert store.origin_of(target, store.STEP).base == folders.weights_digest(target)
    card = (target / "README.md").read_text()
    name = Path(settings_of(graded).model.name).name
    assert f"hidden states of the **base model**, `{name}`, which is needed too" in card
    loading.load_model(str(target), settings_of(graded).model)


def test_adapters_are_off_for_the_base_head_and_on_for_the_steps(workspace_factory: Make, tiny_model: Path) -> None:
    root = workspace_factory(
        rows=16, batches=(12,), holdout=8, **GRADED, **{"lora.enabled": True, "lora.learning_rate": 0.02}
    )
    train(root, "all")
    base = fingerprint(loading.load_model(str(tiny_model), settings_of(root).model))
    one, two = states(root)
    assert (one.heads["base", 0].read, two.heads["base", 0].read) == (24, 12)
    folder = last_checkpoint(root)
    assert store.origin_of(folder).base == base
    settings, examples = settings_of(root), _holdout(root)
    reader = FeatureReader(str(folder), settings, root / ".specs/elsewhere")
    origin = store.origin_of(folder, store.STEP)
    head = store.load_head(folder, base=origin.base, prompt=origin.prompt, model=store.STEP).head
    found = head.grades(reader.features(examples).features, [example.kind for example in examples])
    recorded = two.readings[2].by("step head")
    assert recorded is not None
    np.testing.assert_allclose(found.probabilities, recorded.probabilities, atol=5e-4)


# --- when the step's own head is fitted


def test_never_fits_no_head_on_the_step(workspace_factory: Make) -> None:
    root = workspace_factory(holdout=8, **GRADED, **{"grading.step_head": "never"})
    train(root)
    assert list(states(root)[0].heads) == [("base", 0)]
    assert not store.has_head(last_checkpoint(root), store.STEP)


def test_a_step_that_goes_by_grade_has_its_own_head_after_every_epoch(workspace_factory: Make) -> None:
    root = workspace_factory(holdout=8, **GRADED, **{"early_stop.metric": "grade"})
    train(root)
    state = states(root)[0]
    assert ways_of(state) == {epoch: ["base head", "step tokens", "step head"] for epoch in (0, 1, 2)}
    before = state.readings[0]
    base, own = before.by("base head"), before.by("step head")
    assert base is not None
    assert own is not None
    # nothing is trained yet: it is the base model
    assert own.probabilities == base.probabilities
    assert list(state.heads) == [("base", 0), ("step", 1), ("step", 2)]
    for folder in folders.list_folders(checkpoint_folder(root)):
        assert store.origin_of(folder, store.STEP).base == folders.manifest_of(folder).digest
    verdict = state.decisions[-1].verdict
    assert (verdict.metric, verdict.grade_way, verdict.grade_compared_with is not None) == ("grade", "step head", True)
    assert state.grades[2].way == "step head"
    assert state.finished is not None
    assert state.finished.metric == "grade"
    own_ways = {epoch: read.by("step head") for epoch, read in state.readings.items() if epoch}
    distances = {epoch: way.figures["expected_distance"].value for epoch, way in own_ways.items() if way is not None}
    assert state.finished.best_epoch == min(distances, key=lambda epoch: (distances[epoch], epoch))


def test_the_best_checkpoint_gets_a_head_of_its_own_where_it_is_not_the_last(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory(holdout=8, **GRADED)
    monkeypatch.setattr(RunState, "best_epoch", lambda self: 1 if 1 in self.epochs else None)
    train(root)
    state = states(root)[0]
    assert list(state.heads) == [("base", 0), ("step", 2), ("step", 1)]
    for epoch in (1, 2):
        folder = place_of(root, state.epochs[epoch].checkpoint)
        assert folders.problems_of(folder, for_resume=True) == []
        assert store.origin_of(folder, store.STEP).base == folders.manifest_of(folder).digest


def test_a_resumed_run_keeps_the_metric_that_it_began_with(workspace_factory: Make) -> None:
    root = workspace_factory(holdout=8, **GRADED)
    interrupt(root, epoch_one_ends)
    train(root, overrides=["early_stop.metric=grade"])
    state = states(root)[0]
    assert (state.status, state.begun.metric) == ("finished", "loss")
    assert [decision.verdict.metric for decision in state.decisions] == ["loss", "loss"]
    assert len([warning for warning in state.warnings if "the metric that it began with, loss" in warning]) == 1


def test_a_person_can_stop_a_run_while_rows_are_read(workspace_factory: Make) -> None:
    """Before the first epoch on the base model, and at the step's end on its own; a resume goes on from there."""
    root = workspace_factory(holdout=8, **GRADED)
    for model in ("base model", "step's model"):

        def reads(event: ev.AnyEvent, model: str = model) -> bool:
            return isinstance(event, ev.PhaseChanged) and event.phase == "reading" and model in event.detail

        interrupt(root, reads)
    assert (list(states(root)[0].epochs), list(states(root)[0].heads)) == ([0, 1, 2], [("base", 0)])
    train(root)
    state = states(root)[0]
    assert (state.status, list(state.heads)) == ("finished", [("base", 0), ("step", 2)])
    assert len(states(root)) == 1


# --- scales, weights, groups


@pytest.mark.parametrize(
    ("scale", "written"),
    [
        (["F", "D", "C", "B", "A"], lambda grade: "FDCBA"[grade - 1]),
        (["1", "1.5", "2", "2.5", "3"], lambda grade: f"{1 + (grade - 1) / 2:g}"),
        (["8", "9", "10", "11", "12"], lambda grade: str(grade + 7)),
    ],
    ids=["letters", "half grades", "two digits"],
)
def test_any_scale_is_read_with_weights_and_groups(
    workspace_factory: Make, scale: list[str], written: Callable[[int], str]
) -> None:
    root = workspace_factory(rows=24, holdout=8, **GRADED, **{"grading.grades": scale})
    for path, name, count in ((base_file(root), "base", 24), (holdout_file(root), "holdout", 8)):
        rows = [
            {**row, "grade": written(int(str(row["grade"]))), "weight": number % 3, "group": f"{name} {number % 7}"}
            for number, row in enumerate(make_rows(count, name))
        ]
        write_rows(path, rows)
    train(root)
    state = states(root)[0]
    assert not [warning for warning in state.warnings if "grade head" in warning or "cannot" in warning]
    assert state.readings[2].labels == tuple(scale)
    assert [way.way for way in state.readings[2].ways] == ["base head", "step tokens", "step head"]
    assert state.heads["base", 0].rows == 16  # rows of weight 0 are left out
    groups = tuple(f"holdout {number % 7}" for number in range(8) if number % 3)
    assert state.readings[2].groups == groups
    assert all(race.groups == groups for race in state.races.values() if race.reference)
    assert set(state.grades[1].predicted) <= {1, 2, 3, 4, 5}


# --- no head, and nothing else lost


def pairs(count: int, name: str, *, graded: bool = True) -> list[dict[str, object]]:
    """Rows of prompt and completion, in which a grade is only what the completion states."""
    return [
        {
            "id": str(row["id"]),
            "prompt": f"{row['task']} {row['submission']}",
            "completion": f"{'Grade: ' + str(row['grade']) if graded else 'Well'}\nFeedback: {row['feedback']}",
        }
        for row in make_rows(count, name)
    ]


def write_pairs(root: Path, *, train_graded: bool, holdout_graded: bool) -> None:
    write_rows(base_file(root), pairs(20, "base", graded=train_graded))
    write_rows(holdout_file(root), pairs(6, "holdout", graded=holdout_graded))


def without_grades(root: Path) -> None:
    write_pairs(root, train_graded=False, holdout_graded=False)


def without_holdout_grades(root: Path) -> None:
    write_pairs(root, train_graded=True, holdout_graded=False)


def with_few_rows(root: Path) -> None:
    write_rows(base_file(root), make_rows(5, "base"))


def with_one_grade(root: Path) -> None:
    write_rows(base_file(root), [{**row, "grade": 3} for row in make_rows(20, "base")])


def with_ungraded_training_rows(root: Path) -> None:
    write_pairs(root, train_graded=False, holdout_graded=True)


@pytest.mark.parametrize(
    ("change", "reason", "tokens"),
    [
        (without_grades, "the hold-out has no grades.", False),
        (without_holdout_grades, "the hold-out has no grades.", False),
        (with_few_rows, "5 graded rows are too few for a grade head, which needs 10.", True),
        (with_one_grade, "all rows have the same grade.", True),
        (with_ungraded_training_rows, "no training row has a grade.", False),
    ],
)
def test_where_no_head_can_be_fitted_the_reason_is_told_and_the_step_is_trained(
    workspace_factory: Make, change: Callable[[Path], None], reason: str, tokens: bool
) -> None:
    root = workspace_factory(**GRADED)
    change(root)
    train(root)
    state = states(root)[0]
    assert state.status == "finished"
    assert [(head.head, head.problem) for head in state.heads.values()] == [("base", reason)]
    assert bool(state.grades) == tokens
    folder = last_checkpoint(root)
    assert not list(folder.glob("*grade_head*"))
    assert folders.manifest_of(folder).grades_with == ""


def test_a_hold_out_of_which_some_rows_have_grades_is_read_on_these(workspace_factory: Make) -> None:
    root = workspace_factory(**GRADED)
    write_rows(base_file(root), pairs(20, "base"))
    rows = pairs(8, "holdout")
    write_rows(holdout_file(root), [*pairs(3, "holdout", graded=False), *rows[3:]])
    train(root)
    state = states(root)[0]
    assert (len(state.holdout[2].sums), len(state.readings[2].ids), state.readings[2].ungraded) == (8, 5, 3)
    assert state.readings[2].ids == tuple(str(row["id"]) for row in rows[3:])
    assert len(state.grades[2].predicted) == 5


def test_a_failure_in_fitting_is_told_and_the_step_is_trained(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("no such head")

    root = workspace_factory(holdout=8, **GRADED)
    monkeypatch.setattr(base_head, "fit_step", broken)
    monkeypatch.setattr(step_heads, "fit_step", broken)
    train(root)
    state = states(root)[0]
    assert state.status == "finished"
    assert state.heads["base", 0].problem == "ArithmeticError: no such head"
    assert [warning.count("ArithmeticError: no such head") for warning in state.warnings] == [1, 1]
    assert ways_of(state)[2] == ["step tokens"]


def test_a_model_whose_states_cannot_be_read_is_trained_by_its_loss(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opeddev_tui.grading import features

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no decoder layers")

    root = workspace_factory(holdout=8, **GRADED)
    monkeypatch.setattr(features, "read_rows", broken)
    train(root)
    state = states(root)[0]
    assert state.status == "finished"
    assert (list(state.holdout), state.readings) == ([0, 1, 2], {})
    # each told once, not after every epoch: the head on the base model, then the grades
    assert len(state.warnings) == 2
    assert all("ValueError: no decoder layers" in warning for warning in state.warnings)


def test_grades_that_do_not_stand_first_are_read_by_heads_alone(workspace_factory: Make) -> None:
    root = workspace_factory(
        holdout=8, **GRADED, **{"grading.completion_template": "{feedback} {submission} Grade: {grade}"}
    )
    train(root)
    state = states(root)[0]
    assert ways_of(state) == {0: ["base head"], 1: ["base head"], 2: ["base head", "step head"]}
    assert state.grades == {}
    assert len([warning for warning in state.warnings if "not read per epoch" in warning]) == 1


# --- the base model


def test_a_run_begun_without_heads_gets_them_when_it_is_resumed(workspace_factory: Make, tiny_model: Path) -> None:
    """As a run of version 0.1 that was interrupted: its checkpoints have no head, and the base model is loaded."""
    root = workspace_factory(holdout=8, **{**GRADED, "grading.evaluate": False})
    interrupt(root, epoch_one_ends)
    train(root, overrides=["grading.evaluate=true"])
    state = states(root)[0]
    assert state.status == "finished"
    assert ways_of(state) == {2: ["base head", "step tokens", "step head"]}
    base = fingerprint(loading.load_model(str(tiny_model), settings_of(root).model))
    assert store.origin_of(last_checkpoint(root)).base == base
    first = place_of(root, state.epochs[1].checkpoint)
    assert not store.has_head(first)
    assert folders.problems_of(first, for_resume=True) == []


def test_a_base_model_that_is_gone_costs_a_later_step_its_base_head_alone(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory(rows=16, batches=(12,), holdout=8, **GRADED)
    train(root)
    real = loading.load_model

    def gone(source: str, model: Any) -> Any:
        if source == settings_of(root).model.name:
            raise OSError("not there any more")
        return real(source, model)

    monkeypatch.setattr(loading, "load_model", gone)
    train(root)
    state = states(root)[1]
    assert state.status == "finished"
    assert state.heads["base", 0].problem == "OSError: not there any more"
    assert ways_of(state)[2] == ["step tokens", "step head"]


def test_known_rows_need_no_base_model(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace_factory(rows=16, holdout=8, **GRADED)
    train(root)
    first = last_checkpoint(root)
    real, loaded = loading.load_model, []

    def counted(source: str, model: Any) -> Any:
        loaded.append(source)
        return real(source, model)

    monkeypatch.setattr(loading, "load_model", counted)
    train(root, "0", new=True, start_from=str(first))
    assert loaded == [str(first)]
    assert states(root)[1].heads["base", 0].read == 0
    one, two = (state.readings[0].by("base head") for state in states(root))
    assert one is not None
    assert two is not None
    assert replace(one, seconds=0) == replace(two, seconds=0)
