"""The losses of a grade: on the distribution over the grades of a scale that a model gives where it writes one.

Added to cross-entropy, which is computed as without them. Knows token ids and positions on a scale, no settings and no
text.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from msgspec import Struct

from opeddev_tui.models.token_rows import IGNORED, GradePlace, Tails, token_losses

Kind = Literal["cross-entropy", "squared", "ordinal"]
# a place in a batch: the column of the labels at which the grade's tokens begin, None for rows without a grade
PlacedGrade = tuple[int, GradePlace] | None


class LossParts(Struct):
    """The loss of a batch and its parts: ``total`` is trained, ``text`` is plain cross-entropy.

    ``grade`` is the loss of the grades, None where there is none.
    """

    total: torch.Tensor
    text: torch.Tensor
    grade: torch.Tensor | None = None


class _Node(Struct, frozen=True):
    """A place where grades part: the tokens that follow, and the grades after each."""

    tokens: tuple[int, ...]
    grades: tuple[tuple[int, ...], ...]
    taken: int


def is_ordered(tails: Tails) -> bool:
    """Return True where at every branch the grades behind each token are neighbours on the scale.

    One token per grade is always ordered; 1 to 10 in digits is not, because 10 stands behind the token of 1.
    """
    nodes = (node for grade in range(len(tails)) for node in _path(tails, grade))
    return all(group[-1] - group[0] == len(group) - 1 for node in nodes for group in node.grades)


def _path(tails: Tails, grade: int) -> list[_Node]:
    """Return the branches on the way to ``grade``: a single one where every grade is one token."""
    nodes: list[_Node] = []
    members = list(range(len(tails)))
    for depth, token in enumerate(tails[grade]):
        behind: dict[int, list[int]] = {}
        for member in members:
            behind.setdefault(tails[member][depth], []).append(member)
        if len(behind) > 1:
            nodes.append(_Node(tuple(behind), tuple(map(tuple, behind.values())), list(behind).index(token)))
        else:
            nodes.append(_Node((token,), (tuple(members),), 0))
        members = behind[token]
        if len(members) == 1:
            break
    return nodes


class _Tables(Struct, frozen=True):
    """The paths to all grades of a tree as tensors [grades, depth, children], ``spread`` [..., grades] more."""

    tokens: torch.Tensor
    real: torch.Tensor
    taken: torch.Tensor
    spread: torch.Tensor


def _tables(tails: Tails, device: torch.device) -> _Tables:
    size = len(tails)
    paths = [_path(tails, grade) for grade in range(size)]
    depth = max(len(path) for path in paths)
    children = max(len(node.tokens) for path in paths for node in path)
    tokens = torch.zeros((size, depth, children), dtype=torch.long)
    # where a path has ended, one child that is certain: the probability of the way stays what it is
    real = torch.zeros((size, depth, children), dtype=torch.bool)
    real[:, :, 0] = True
    taken = torch.zeros((size, depth, children), dtype=torch.bool)
    taken[:, :, 0] = True
    spread = torch.zeros((size, depth, children, size))
    for grade, path in enumerate(paths):
        for level, node in enumerate(path):
            count = len(node.tokens)
            tokens[grade, level, :count] = torch.tensor(node.tokens)
            real[grade, level, :count] = True
            taken[grade, level, 0] = False
            taken[grade, level, node.taken] = True
            for child, group in enumerate(node.grades):
                # what parts the grades behind another token is not known from this pass: they get equal shares
                spread[grade, level, child, list(group)] = 0.0 if child == node.taken else 1.0 / len(group)
    return _Tables(*(table.to(device) for table in (tokens, real, taken, spread)))


class GradeLoss:
    """Cross-entropy with a weight for the grade's tokens, and a loss on the grade's distribution beside it.

    ``squared`` is the squared distance of the expected grade, ``ordinal`` the sum over cut points of the squared error
    of the cumulative probability (ranked probability score, the earth mover's distance squared). Both are divided by
    what an even distribution costs on average, so that 1 is not knowing anything on every scale. ``weight`` multiplies
    that loss; ``token_weight`` the cross-entropy of the tokens that write the grade.
    """

    def __init__(self, kind: Kind, *, weight: float, token_weight: float) -> None:
        self._kind = kind
        self._weight = weight
        self._token_weight = token_weight
        self._known: dict[tuple[Tails, torch.device], _Tables] = {}

    @property
    def beside_text(self) -> bool:
        """Whether a loss is trained for the grade beside the cross-entropy."""
        return self._kind != "cross-entropy" and bool(self._weight)

    def parts(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        grades: Sequence[PlacedGrade],
        *,
        weights: torch.Tensor | None = None,
        tokens: Any = None,
        graded: int | None = None,
    ) -> LossParts:
        """Return the loss of a batch with its parts.

        ``logits`` are [rows, columns, vocabulary], ``labels`` [rows, columns]; ``weights`` [rows] multiply the rows'
        losses. ``tokens`` and ``graded`` are the completion tokens and the graded rows of all batches of an optimizer
        step, None for those of this one.
        """
        losses, targets = token_losses(logits, labels)
        per_row = torch.ones_like(losses[:, 0]) if weights is None else weights.to(losses)
        count = (targets != IGNORED).sum() if tokens is None else tokens
        text = (losses.sum(1) * per_row).sum() / count
        total = text
        if self._token_weight != 1.0:
            total = ((losses * self._emphasis(losses, grades)).sum(1) * per_row).sum() / count
        rows = [row for row, grade in enumerate(grades) if grade is not None]
        if self._kind == "cross-entropy" or not self._weight or not rows:
            return LossParts(total, text)
        grade = (self.of_grades(logits, grades) * per_row[rows]).sum() / (len(rows) if graded is None else graded)
        return LossParts(total + self._weight * grade, text, grade)

    def _emphasis(self, losses: torch.Tensor, grades: Sequence[PlacedGrade]) -> torch.Tensor:
        found = torch.ones_like(losses)
        for row, placed in enumerate(grades):
            if placed is not None:
                column, place = placed
                # losses begin one column later than labels
                found[row, column - 1 : column - 1 + place.length] = self._token_weight
        return found

    def of_grades(self, logits: torch.Tensor, grades: Sequence[PlacedGrade]) -> torch.Tensor:
        """Return the loss of each graded row, in their order."""
        chosen = [(row, *placed) for row, placed in enumerate(grades) if placed is not None]
        found: list[torch.Tensor | None] = [None] * len(chosen)
        for tails in dict.fromkeys(place.tails for _, _, place in chosen):
            same = [number for number, (_, _, place) in enumerate(chosen) if place.tails == tails]
            rows, columns, places = zip(*(chosen[number] for number in same), strict=True)
            targets = torch.tensor([place.target for place in places], device=logits.device)
            probabilities = self._distribution(logits, tails, targets, rows, columns)
            each = _squared(probabilities, targets) if self._kind == "squared" else _ordinal(probabilities, targets)
            for number, loss in zip(same, each, strict=True):
                found[number] = loss
        return torch.stack([loss for loss in found if loss is not None])

    def _distribution(
        self, logits: torch.Tensor, tails: Tails, targets: torch.Tensor, rows: Sequence[int], columns: Sequence[int]
    ) -> torch.Tensor:
        """Return the probabilities [n, grades], normalised over the tokens that go on to a grade at each branch."""
        key = (tails, logits.device)
        if key not in self._known:
            self._known[key] = _tables(*key)
        tables = self._known[key]
        tokens, real, taken = tables.tokens[targets], tables.real[targets], tables.taken[targets]
        # the scores of a token stand one column before it
        starts = torch.tensor(columns, device=logits.device)[:, None] - 1
        places = (starts + torch.arange(tokens.shape[1], device=logits.device)).clamp(max=logits.shape[1] - 1)
        scores = logits[torch.tensor(rows, device=logits.device)[:, None, None], places[:, :, None], tokens].float()
        shares = scores.masked_fill(~real, -torch.inf).softmax(-1)
        on_the_way = (shares * taken).sum(-1).cumprod(1)
        reached = torch.cat([torch.ones_like(on_the_way[:, :1]), on_the_way[:, :-1]], 1)
        beside = torch.einsum("nd,ndc,ndcg->ng", reached, shares, tables.spread[targets])
        own = torch.nn.functional.one_hot(targets, len(tails)) * on_the_way[:, -1:]
        return beside + own


def _squared(probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    size = probabilities.shape[1]
    expected = (probabilities * torch.arange(size, device=probabilities.device)).sum(1)
    return (expected - targets).square() / ((size**2 - 1) / 12)


def _ordinal(probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    size = probabilities.shape[1]
    cuts = torch.arange(size - 1, device=probabilities.device)
    at_most = probabilities.cumsum(1)[:, :-1]
    return (at_most - (targets[:, None] <= cuts).float()).square().sum(1) / ((size**2 - 1) / (6 * size))
