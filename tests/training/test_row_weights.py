"""Weights that stand in a file: those of rows and those of messages, from the file to the loss."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import (
    base_file,
    holdout_file,
    journal_of,
    last_run,
    make_rows,
    states,
    train,
    workspace_of,
    write_rows,
)

from opeddev_tui import cli
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest

Make = Callable[..., Path]


def trained(make: Make, rows: Sequence[dict[str, Any]], holdout: Sequence[dict[str, Any]] = ()) -> Path:
    """Return a workspace that was trained on ``rows`` for an epoch, in one order and in accumulated batches."""
    root = make(rows=8, **{"training.num_train_epochs": 1, "training.gradient_accumulation_steps": 2})
    write_rows(base_file(root), rows)
    if holdout:
        write_rows(holdout_file(root), holdout)
    train(root)
    return root


def losses(root: Path) -> list[float | None]:
    return [event.loss for event in journal_of(root) if isinstance(event, ev.Progress)]


def encoding(root: Path) -> manifest.EncodingRecord:
    """Return what the manifest of the newest run says of its training rows as tokens."""
    found = manifest.read(workspace_of(root).run_manifest(last_run(root).name))
    assert found is not None
    assert found.data.encoding is not None
    return found.data.encoding


def weighed(*weights: object) -> list[dict[str, Any]]:
    return [{**row, "weight": weights[n % len(weights)]} for n, row in enumerate(make_rows(8, "base"))]


def chat(number: int, **last: Any) -> dict[str, Any]:
    """A row of two questions and answers; ``last`` goes to the last answer."""
    texts = [f"Is menu {number} good?", f"Grade: {number % 5 + 1}", "And its colour?", "border margin"]
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    return {"messages": [*turns[:-1], {**turns[-1], **last}]}


def test_the_weight_of_a_row_multiplies_its_loss(workspace_factory: Make) -> None:
    plain = trained(workspace_factory, make_rows(8, "base"))
    ones = trained(workspace_factory, weighed(1, None, "1"))
    doubled = trained(workspace_factory, weighed("2.0"))
    first = losses(plain)[0]
    assert first is not None
    assert losses(ones) == losses(plain)
    assert encoding(ones) == encoding(plain)
    assert losses(doubled)[0] == pytest.approx(2 * first, rel=1e-5)
    # the tokens are the same and the weights are not: such a run is not taken up as the other one
    assert encoding(doubled).tokens == encoding(plain).tokens
    assert encoding(doubled).digest != encoding(plain).digest
    # the hold-out is scored as it is
    scores = [states(root)[0].holdout[0] for root in (plain, doubled)]
    assert (scores[0].sums, scores[0].tokens) == (scores[1].sums, scores[1].tokens)


def test_a_row_of_weight_0_is_trained_as_if_it_were_not_there(workspace_factory: Make) -> None:
    some = trained(workspace_factory, weighed(0, 1))
    left = trained(workspace_factory, [row for row in weighed(0, 1) if row["weight"]])
    assert encoding(some) == encoding(left)
    assert encoding(some).rows == 4
    assert losses(some) == losses(left)


def test_an_answer_of_weight_0_is_never_trained_on(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    held = [chat(number) for number in range(90, 96)]
    cut = trained(workspace_factory, [chat(number, weight=0) for number in range(8)], held)
    ended = [{"messages": chat(number)["messages"][:2]} for number in range(8)]
    left = trained(workspace_factory, ended, held)
    assert encoding(cut) == encoding(left)
    assert losses(cut) == losses(left)
    # with its weight the last answer is what is trained on
    whole = trained(workspace_factory, [chat(number) for number in range(8)], held)
    assert encoding(whole).rows == encoding(cut).rows
    assert encoding(whole).tokens > encoding(cut).tokens
    assert cli.main(["check", "-w", str(cut)]) == 0
    assert "the last answer has weight 0; the row ends before it." in " ".join(capsys.readouterr().out.split())
