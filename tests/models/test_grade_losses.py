"""The losses of a grade against plain computations: one row at a time, no padding, the whole vocabulary."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from opeddev_tui.config import settings as st
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.grade_losses import GradeLoss, Kind, is_ordered
from opeddev_tui.models.loading import load_model
from opeddev_tui.models.token_rows import BatchForm, GradePlace, LeftPadCollator, Tails, TokenRow

FIVE = tuple((token,) for token in (21, 22, 23, 24, 25))
# 1, 1.5, 2, 2.5: the half is told by a second token
HALVES = ((21, 9), (21, 8, 25), (22, 9), (22, 8, 25))


def rows_of(tails: Tails) -> list[TokenRow]:
    """Rows of different lengths and weights, the grade at different places, one row without a grade."""
    draw = torch.Generator().manual_seed(3)

    def ids(count: int) -> list[int]:
        return torch.randint(30, 500, (count,), generator=draw).tolist()

    rows = []
    for number, target in enumerate((0, 2, 1, 3)):
        before, after = ids(number), ids(3 + number)
        place = GradePlace(len(before), target, tails)
        rows.append(TokenRow(number, ids(4 + 3 * number), [*before, *tails[target], *after], 1.0 + number, place))
    return [*rows, TokenRow(4, ids(5), ids(4), 2.0)]


def spread(tails: Tails, scores: Sequence[torch.Tensor], own: int) -> torch.Tensor:
    """Return the probabilities of all grades of a row: the way to its own exactly, the rest in equal shares.

    ``scores`` [depth] of [vocabulary] stand on the way to the grade ``own``.
    """
    found = [torch.zeros(()) for _ in tails]
    reached, members = torch.ones(()), list(range(len(tails)))
    for depth, token in enumerate(tails[own]):
        children = sorted({tails[member][depth] for member in members})
        total = torch.logsumexp(torch.stack([scores[depth][child] for child in children]), 0)
        for child in children:
            behind = [member for member in members if tails[member][depth] == child]
            share = reached * torch.exp(scores[depth][child] - total)
            if child == token:
                following, inside = behind, share
            else:
                for member in behind:
                    found[member] = share / len(behind)
        members, reached = following, inside
        if len(members) == 1:
            break
    found[own] = reached
    return torch.stack(found)


def plain_loss(
    model: CausalLM, rows: Sequence[TokenRow], kind: Kind, weight: float, token_weight: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return total, cross-entropy and loss of the grades, one row at a time."""
    tokens = sum(len(row.completion) for row in rows)
    graded = sum(row.grade is not None for row in rows)
    total, text, grade = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for row in rows:
        ids = torch.tensor([row.prompt + row.completion])
        scores = model(input_ids=ids).logits[0]
        place = row.grade
        for number, token in enumerate(row.completion):
            column = len(row.prompt) + number
            loss = -torch.log_softmax(scores[column - 1], -1)[token] * row.weight / tokens
            inside = place is not None and place.start <= number < place.start + len(place.tails[place.target])
            text = text + loss
            total = total + loss * (token_weight if inside else 1.0)
        if place is None or kind == "cross-entropy":
            continue
        first = len(row.prompt) + place.start - 1
        chances = spread(place.tails, list(scores[first : first + 4]), place.target)
        count = len(place.tails)
        if kind == "squared":
            mean = sum(grade * chance for grade, chance in enumerate(chances))
            each = (mean - place.target) ** 2 * 12 / (count**2 - 1)
        else:
            each = sum((chances[: cut + 1].sum() - float(place.target <= cut)) ** 2 for cut in range(count - 1)) * (
                6 * count / (count**2 - 1)
            )
        grade = grade + each * row.weight / graded
    return total + weight * grade, text, grade


def gradients(model: CausalLM, loss: torch.Tensor) -> list[torch.Tensor]:
    parameters = [item for item in model.parameters() if item.requires_grad]
    return list(torch.autograd.grad(loss, parameters))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> CausalLM:
    return load_model(str(tiny_model), st.Model())


@pytest.mark.parametrize("tails", [FIVE, HALVES], ids=["one token", "several tokens"])
@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize(
    ("kind", "weight", "token_weight"),
    [("cross-entropy", 1.0, 7.0), ("squared", 1.0, 1.0), ("ordinal", 2.5, 1.0), ("ordinal", 0.5, 0.0)],
)
def test_loss_and_gradients_are_those_of_a_plain_computation(
    model: CausalLM, tails: Tails, left: bool, kind: Kind, weight: float, token_weight: float
) -> None:
    rows = rows_of(tails)
    batch = LeftPadCollator(0, form=BatchForm(left=left, kept_head=left))(rows)
    labels, grades, weights = (batch.pop(name) for name in ("labels", "grades", "weights"))
    loss = GradeLoss(kind, weight=weight, token_weight=token_weight)
    parts = loss.parts(model(**batch).logits, labels, grades, weights=weights)
    total, text, grade = plain_loss(model, rows, kind, weight, token_weight)
    assert (parts.total.item(), parts.text.item()) == pytest.approx((total.item(), text.item()), rel=1e-4)
    assert (parts.grade is None) == (kind == "cross-entropy")
    assert parts.grade is None or parts.grade.item() == pytest.approx(grade.item(), rel=1e-4)
    for one, other in zip(gradients(model, parts.total), gradients(model, total), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=2e-6)


def test_without_a_loss_of_its_own_it_is_cross_entropy(model: CausalLM) -> None:
    batch: dict[str, Any] = LeftPadCollator(0)([*rows_of(FIVE)])
    labels, grades, weights = (batch.pop(name) for name in ("labels", "grades", "weights"))
    logits = model(**batch).logits
    parts = GradeLoss("ordinal", weight=0.0, token_weight=1.0).parts(logits, labels, grades, weights=weights)
    assert parts.total.item() == parts.text.item()
    assert parts.grade is None


@pytest.mark.parametrize("size", [2, 5, 101])
@pytest.mark.parametrize("kind", ["squared", "ordinal"])
def test_an_even_guess_costs_1_on_every_scale(kind: Kind, size: int) -> None:
    tails = tuple((token,) for token in range(size))
    logits = torch.zeros((size, 2, 200))
    grades = [(1, GradePlace(0, target, tails)) for target in range(size)]
    loss = GradeLoss(kind, weight=1.0, token_weight=1.0).of_grades(logits, grades)
    assert loss.mean().item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("kind", ["squared", "ordinal"])
def test_the_right_grade_costs_nothing_and_the_farthest_most(kind: Kind) -> None:
    def cost(given: int) -> float:
        logits = torch.full((1, 2, 30), -math.inf)
        logits[0, 0, [token for (token,) in FIVE]] = -50.0
        logits[0, 0, FIVE[given][0]] = 50.0
        return float(GradeLoss(kind, weight=1.0, token_weight=1.0).of_grades(logits, [(1, GradePlace(0, 4, FIVE))]))

    costs = [cost(given) for given in range(5)]
    assert costs[4] == pytest.approx(0.0, abs=1e-6)
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 5


def test_the_order_of_a_scale_is_kept_or_not() -> None:
    assert is_ordered(FIVE)
    assert is_ordered(HALVES)
    # 1 to 10 in digits: 10 stands behind the token of 1
    assert not is_ordered(((1, 0), *((number,) for number in range(2, 10)), (1, 9)))
    # F, D-, D, D+: D's neighbours all begin with its token
    assert is_ordered(((1,), (2, 5), (2, 0), (2, 6)))
