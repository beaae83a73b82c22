"""Feedback with a forced structure at a step's end: the heads name the areas, the model writes the sentences."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import base_file, holdout_file, journal_of, make_rows, states, train, write_rows

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.grading.areas import named_areas
from opeddev_tui.models import loading, token_check
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.forced_text import Beginning, continue_texts
from opeddev_tui.runs import events as ev
from opeddev_tui.training import step_feedback

Make = Callable[..., Path]
GRADED: dict[str, object] = {
    "grading.evaluate": True,
    "training.num_train_epochs": 2,
    "generation.num_probes": 6,
    "generation.max_new_tokens": 40,
}
AREAS = {"Layout": "button", "Naming": "menu", "Colours": "table"}
STEM = "\nFeedback: "


def rows_with_areas(count: int, name: str) -> list[dict[str, Any]]:
    """Rows whose submission shows which areas failed; the feedback names each before a sentence."""
    draw = random.Random(name)
    rows: list[dict[str, Any]] = []
    for row in make_rows(count, name):
        failed = [area for area in AREAS if draw.random() < 0.4]
        words = " ".join([*(AREAS[area] for area in failed for _ in range(3)), "page"])
        feedback = " ".join(f"{area}: the {AREAS[area]} is bad." for area in failed) or "No problems found."
        rubric = ". ".join(AREAS)
        rows.append(
            {**row, "submission": f"<b>{row['id']} {words}</b>", "feedback": feedback, "rubric": rubric,
             "grade": 5 - len(failed)}
        )  # fmt: skip
    return rows


def workspace(make: Make, **settings: object) -> Path:
    root = make(**{**GRADED, "grading.prompt_template": "{task} {rubric} {submission}", **settings})
    write_rows(base_file(root), rows_with_areas(40, "base"))
    write_rows(holdout_file(root), rows_with_areas(12, "holdout"))
    return root


def written(root: Path) -> list[ev.FeedbackWritten]:
    return [event for event in journal_of(root) if isinstance(event, ev.FeedbackWritten)]


def test_the_forced_texts_name_what_the_heads_found_beside_the_free_ones(workspace_factory: Make) -> None:
    root = workspace(workspace_factory)
    train(root)
    (event,) = written(root)
    assert event.problem == ""
    assert event.head in ("base head", "step head")
    assert len(event.texts) == 6
    for text in event.texts:
        assert text.forced.startswith(f"Grade: {text.grade}{STEM}")
        assert tuple(named_areas(text.forced.partition(STEM)[2])) == text.named
        if not text.named:
            assert text.forced == f"Grade: {text.grade}{STEM}No problems found."
    assert any(len(text.forced.partition(": ")[2]) > 20 for text in event.texts)
    assert event.f1["forced"] == event.f1["heads"]
    assert event.f1["forced"] >= event.f1["free"]
    state = states(root)[-1]
    sampled = [item for item in state.samples if item.epoch == event.epoch][-1]
    assert [text.free for text in event.texts] == [sample.text for sample in sampled.samples]
    kinds = [type(item) for item in journal_of(root)]
    assert kinds.index(ev.RaceHeld) < kinds.index(ev.FeedbackWritten) < kinds.index(ev.RunFinished)


@pytest.mark.parametrize("what", ["no areas", "no probes", "broken"])
def test_where_nothing_can_be_forced_it_says_why_and_the_step_is_finished(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("no words come")

    if what == "broken":
        monkeypatch.setattr(step_feedback, "continue_texts", broken)
    root = workspace(workspace_factory, **({"generation.num_probes": 0} if what == "no probes" else {}))
    if what == "no areas":
        write_rows(base_file(root), make_rows(20, "base"))
    train(root)
    (event,) = written(root)
    told = {
        "no areas": "no head names areas",
        "no probes": "no probe prompt is a graded row",
        "broken": "no words come",
    }
    assert told[what] in event.problem
    assert event.texts == ()
    assert states(root)[-1].status == "finished"


# --- continuing a text


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> tuple[Any, ChatEncoder, int]:
    settings = Settings()
    fitted = token_check.fit(str(tiny_model), settings)
    model = loading.load_model(str(tiny_model), settings.model).eval()
    return model, fitted.encoder, fitted.tokenizer.pad_token_id


def prompt_of(encoder: ChatEncoder, text: str) -> list[int]:
    return encoder.encode_prompt([Message("user", text)])


def test_texts_of_different_lengths_are_continued_together_as_each_alone(loaded: Any) -> None:
    model, encoder, pad = loaded
    given = [
        Beginning(prompt_of(encoder, text), begun, (), most)
        for text, begun, most in [
            ("a button", "Grade: 3\nFeedback: button: ", 9),
            ("a long menu with a table and a page", "", 5),
            ("x", "menu", 7),
        ]
    ]
    together = continue_texts(model, encoder, given, pad_id=pad, batch_size=3)
    alone = [continue_texts(model, encoder, [item], pad_id=pad, batch_size=1)[0] for item in given]
    assert together == alone
    assert all(item.cut for item in together)
    assert not together[0].text.startswith(" ")


def test_a_text_ends_with_the_first_stop_and_is_not_cut(loaded: Any) -> None:
    model, encoder, pad = loaded
    begun = Beginning(prompt_of(encoder, "a button"), "Grade: 3\n", (), 12)
    (whole,) = continue_texts(model, encoder, [begun], pad_id=pad, batch_size=1)
    stop = whole.text[len(whole.text) // 2 :][:3]
    (short,) = continue_texts(
        model, encoder, [Beginning(begun.prompt, begun.text, (stop,), 12)], pad_id=pad, batch_size=1
    )
    assert stop in short.text
    assert whole.text.startswith(short.text)
    assert len(short.text) < len(whole.text)


def test_the_beginning_is_what_training_encodes(loaded: Any) -> None:
    _, encoder, _ = loaded
    text = "Grade: 3\nFeedback: the menu"
    example = Example((Message("user", "x"),), text, None, "", "", "", "")
    assert encoder.begin(text) == encoder.encode(example)[1][:-1]
    assert encoder.begin("") == []
