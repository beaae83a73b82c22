"""Training for the grade, through the whole engine: what is trained, logged, resumed and refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import (
    base_file,
    checkpoint_folder,
    final_weights,
    holdout_file,
    interrupt,
    journal_of,
    last_run,
    make_rows,
    train,
    workspace_of,
    write_rows,
)
from safetensors.torch import load_file

from opeddev_tui import cli
from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.models import token_check
from opeddev_tui.models.token_rows import EncodedRows
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest
from opeddev_tui.training.grade_places import place_grades

Make = Callable[..., Path]


def points(root: Path) -> list[ev.Progress]:
    return [event for event in journal_of(root) if isinstance(event, ev.Progress)]


def mix(root: Path) -> Path:
    """Give the workspace at ``root`` rows with and without grades."""
    write_rows(base_file(root), mixed_rows(18))
    write_rows(holdout_file(root), mixed_rows(40)[-6:])
    return root


def mixed_rows(count: int) -> list[dict[str, Any]]:
    """Rows with a grade at the beginning, at the end, or with none; every third has a weight."""
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(make_rows(count, "base")):
        answers = (f"Grade: {row['grade']}\nFeedback: {row['feedback']}", f"button menu. Grade: {row['grade']}", "menu")
        weight = 2 if number % 3 == 0 else 1
        rows.append({"prompt": row["submission"], "completion": answers[number % 4 % 3], "weight": weight})
    return rows


# --- what is trained


@pytest.mark.parametrize("kind", ["squared", "ordinal"])
def test_a_weight_of_0_trains_the_very_same_weights(workspace_factory: Make, kind: str) -> None:
    plain = workspace_factory(rows=12, **{"training.num_train_epochs": 2})
    off = workspace_factory(
        rows=12, **{"training.num_train_epochs": 2, "grading.loss": kind, "grading.loss_weight": 0.0}
    )
    for root in (plain, off):
        train(root)
    assert final_weights(off) == final_weights(plain)
    assert [point.grade_loss for point in points(off)] == [None] * len(points(plain))


@pytest.mark.parametrize(
    "chosen",
    [
        {"grading.loss": "squared"},
        {"grading.loss": "ordinal", "lora.enabled": True, "lora.learning_rate": 5e-3},
    ],
    ids=["squared", "ordinal with adapters"],
)
def test_the_loss_of_the_grade_falls_and_the_expected_grade_moves(
    workspace_factory: Make, chosen: dict[str, object]
) -> None:
    """The grade is a word of the submission: 5 where there is a button, 1 where there is none."""
    root = workspace_factory(**{"training.num_train_epochs": 6, "grading.loss_weight": 3.0, **chosen})
    rows = [
        {**row, "submission": "button" if number % 2 else "margin", "grade": 5 if number % 2 else 1}
        for number, row in enumerate(make_rows(20, "base"))
    ]
    write_rows(base_file(root), [{**row, "task": f"Make it {number}."} for number, row in enumerate(rows)])
    train(root)
    losses = [point.grade_loss for point in points(root)]
    assert all(loss is not None and loss >= 0 for loss in losses)
    first, last = (sum(loss or 0.0 for loss in part) / len(part) for part in (losses[:5], losses[-5:]))
    # an even guess costs 2 where all grades are the lowest or the highest; 0.25 is about a grade off
    assert first > 0.8
    assert last < 0.25


def test_the_logged_loss_is_the_cross_entropy_alone(workspace_factory: Make) -> None:
    """The first step's losses are those of the same weights, whatever is trained for the grade."""
    roots = [
        workspace_factory(
            rows=16, **{"training.num_train_epochs": 1, "training.gradient_accumulation_steps": 2, **chosen}
        )
        for chosen in ({}, {"grading.loss": "ordinal", "grading.loss_weight": 9.0}, {"grading.token_weight": 20.0})
    ]
    for root in roots:
        train(root)
    plain, ordinal, tokens = (points(root)[0] for root in roots)
    assert ordinal.loss == pytest.approx(plain.loss, rel=1e-5)
    assert tokens.loss == pytest.approx(plain.loss, rel=1e-5)
    assert ordinal.grade_loss is not None
    assert plain.grade_loss is None
    assert tokens.grade_loss is None
    # and each of them trains other weights
    assert len({final_weights(root) for root in roots}) == 3


def test_accumulated_batches_train_what_one_batch_trains(workspace_factory: Make) -> None:
    found = []
    for batch, accumulation in ((4, 1), (2, 2), (1, 4)):
        root = workspace_factory(
            **{
                "training.num_train_epochs": 1,
                "training.per_device_train_batch_size": batch,
                "training.gradient_accumulation_steps": accumulation,
                "grading.loss": "ordinal",
                "grading.loss_weight": 2.0,
                "grading.token_weight": 3.0,
            }
        )
        train(mix(root))
        found.append((points(root), load_file(checkpoint_folder(root) / "checkpoint-5" / "model.safetensors")))
    (whole, weights), *others = found
    for some, other in others:
        assert [point.loss for point in some] == pytest.approx([point.loss for point in whole], rel=1e-4)
        for one, two in zip(some, whole, strict=True):
            assert (one.grade_loss is None) == (two.grade_loss is None)
            assert one.grade_loss is None or one.grade_loss == pytest.approx(two.grade_loss, rel=1e-3)
        assert max(float((weights[name] - other[name]).abs().max()) for name in weights) < 1e-4


# --- resuming


def interrupted(make: Make, **settings: object) -> Path:
    """Return a workspace whose run stopped in the middle of its second epoch."""
    root = mix(make(**settings))
    interrupt(root, 6)
    return root


def test_an_interrupted_run_resumes_bit_for_bit(workspace_factory: Make) -> None:
    chosen: dict[str, object] = {
        "training.num_train_epochs": 2,
        "grading.loss": "squared",
        "grading.token_weight": 4.0,
        "training.per_device_train_batch_size": 2,
        "training.gradient_accumulation_steps": 2,
    }
    undisturbed = mix(workspace_factory(**chosen))
    train(undisturbed)
    root = interrupted(workspace_factory, **chosen)
    with pytest.raises(TrainingProblem, match=r"grading\.loss was 'squared' and is 'ordinal'"):
        train(root, overrides=["grading.loss=ordinal"])
    with pytest.raises(TrainingProblem, match=r"grading\.token_weight was 4\.0 and is 1\.0"):
        train(root, overrides=["grading.token_weight=1"])
    train(root)
    assert final_weights(root) == final_weights(undisturbed)
    last = {point.global_step: (point.loss, point.grade_loss) for point in points(root)}
    assert last == {point.global_step: (point.loss, point.grade_loss) for point in points(undisturbed)}


def test_other_places_of_the_grades_are_other_rows(workspace_factory: Make) -> None:
    """grading.pattern may change during a run, but not where it says which tokens are trained for the grade."""
    root = interrupted(workspace_factory, **{"grading.loss": "squared"})
    before = manifest.read(workspace_of(root).run_manifest(last_run(root).name))
    assert before is not None
    with pytest.raises(TrainingProblem, match="the same rows are encoded as other tokens"):
        train(root, overrides=[r"grading.pattern='^Grade:\s*([0-9])'"])


# --- where the grade stands


def placed(tiny_model: Path, grading: st.Grading, completions: Sequence[tuple[str, int | None]]) -> list[str | None]:
    """Return, for each completion, the text before the grade's tokens, and what is said."""
    settings = st.Settings(model=st.Model(name=str(tiny_model)), grading=grading)
    fitted = token_check.fit(str(tiny_model), settings)
    examples = [
        Example((Message("user", "x"),), text, grade, "", f"rows.jsonl:{number}", "", "x")
        for number, (text, grade) in enumerate(completions, 1)
    ]
    encoded: EncodedRows = fitted.encoder.encode_all(examples)
    found, notes = place_grades(fitted.encoder, grading, encoded, examples)
    assert [(row.prompt, row.completion) for row in found.rows] == [
        (row.prompt, row.completion) for row in encoded.rows
    ]
    texts = []
    for row in found.rows:
        place = row.grade
        if place is not None:
            assert tuple(row.completion[place.start : place.start + place.length]) == place.tails[place.target]
        texts.append(None if place is None else fitted.encoder.decode(row.completion[: place.start]))
    return [*texts, *notes]


def test_the_grade_is_found_wherever_it_stands(tiny_model: Path) -> None:
    found = placed(
        tiny_model,
        st.Grading(loss="ordinal"),
        [
            ("Grade: 4\nFeedback: button good", 4),
            ("Grade: 1\nFeedback: menu bad", 1),
            ("Feedback: 2 buttons are bad. Grade: 2", 2),
            ("menu good", None),
            ("Grade: 4.0\nFeedback: form", 4),
        ],
    )
    assert found[:5] == ["Grade:", "Grade:", "Feedback: 2 buttons are bad. Grade:", None, None]
    assert "rows.jsonl:5: the completion does not state the row's grade as the scale writes it (1 such row)" in str(
        found[5]
    )


def test_a_scale_whose_tokens_are_not_in_order_is_refused_with_its_cure(tiny_model: Path) -> None:
    rows = [(f"Grade: {grade}\nFeedback: menu", grade) for grade in range(1, 351)]
    with pytest.raises(SettingsProblem, match=r'grading.grades = \["001", "002", …, "350"\]') as refused:
        placed(tiny_model, st.Grading(loss="squared", maximum=350), rows)
    assert "1 and 10" in str(refused.value)
    # a weight of tokens needs no order
    assert None not in placed(tiny_model, st.Grading(token_weight=5.0, maximum=350), rows)


def test_rows_without_any_grade_are_refused(tiny_model: Path) -> None:
    with pytest.raises(SettingsProblem, match=r"grading\.loss = ordinal has nothing to train"):
        placed(tiny_model, st.Grading(loss="ordinal"), [("menu good", None), ("form bad", None)])
    with pytest.raises(SettingsProblem, match=r"set grading\.token_weight = 1"):
        placed(tiny_model, st.Grading(token_weight=2.0), [("menu good", None)])


def test_check_refuses_what_the_training_would_refuse(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = mix(workspace_factory(**{"grading.loss": "ordinal"}))
    write_rows(base_file(root), [{"prompt": f"menu {number}", "completion": "menu"} for number in range(8)])
    assert cli.main(["check", "-w", str(root)]) == 1
    assert "grading.loss = ordinal has nothing to train" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SettingsProblem, match=r"grading\.loss = ordinal has nothing to train"):
        train(root)
    assert cli.main(["check", "-w", str(workspace_factory(**{"grading.loss": "ordinal"}))]) == 0
