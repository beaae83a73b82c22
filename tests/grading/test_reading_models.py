"""Reading other architectures: padding on either side, no position ids, caches that cannot leave tokens out."""

import numpy as np
import pytest
import torch
from tiny_models import tiny

from opeddev_tui.grading.features import layers_of, read_rows
from opeddev_tui.grading.grade_tokens import GradeTokens
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.losses import example_losses
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow

# one of each: a plain cache, a sliding window, no position ids, a running state, padding on the right
KINDS = ("qwen3", "gpt2", "gemma3_text", "bloom", "mamba", "rwkv")
# one token decides; grades of several tokens of which one begins as another; nothing before the grade
SCALES = {
    "one token": GradeTokens((11, 12), ((21,), (22,), (23,))),
    "several": GradeTokens((11, 12), ((21, 30), (21, 31, 32), (22, 30))),
    "at once": GradeTokens((), ((21, 30), (21, 31), (22, 30))),
}


def some_rows(*, stem: tuple[int, ...] = (11, 12)) -> list[GradeRow]:
    draw = torch.Generator().manual_seed(2)
    rows = []
    for prompt, completion, odd in ((12, 6, False), (7, 3, False), (3, 9, True), (9, 5, False)):
        ids = torch.randint(40, 90, (prompt + completion,), generator=draw).tolist()
        begun = ids[prompt:] if odd else [*stem, 21, 30, *ids[prompt:]]
        rows.append(GradeRow(ids[:prompt], begun, (1, prompt - 1)))
    return rows


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_reads_the_grades_that_each_row_has_alone(kind: str, scale: str) -> None:
    model, tokens = tiny(kind), SCALES[scale]
    rows = some_rows(stem=tokens.stem)
    found = read_rows(model, rows, pad_id=0, batch_size=4, loss=True, grade_tokens=tokens).grade_probabilities
    assert found is not None
    for row, chances in zip(rows, found, strict=True):
        sums = []
        for tail in tokens.tails:
            ids = [*row.prompt, *tokens.stem, *tail]
            with torch.no_grad():
                logs = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            sums.append(sum(float(logs[place - 1, ids[place]]) for place in range(len(ids) - len(tail), len(ids))))
        np.testing.assert_allclose(chances, np.exp(sums) / np.exp(sums).sum(), rtol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_has_the_features_of_single_rows_and_the_losses_of_the_evaluation(kind: str) -> None:
    model, rows = tiny(kind), some_rows()
    together = read_rows(model, rows, pad_id=0, batch_size=4, loss=True, grade_tokens=SCALES["several"])
    alone = read_rows(model, rows, pad_id=0, batch_size=1)
    assert together.states.shape == (4, 32 * len(layers_of(model)))
    np.testing.assert_allclose(together.states, alone.states, atol=2e-5)
    plain = [TokenRow(number, row.prompt, row.completion) for number, row in enumerate(rows)]
    evaluated = example_losses(model, plain, LeftPadCollator(0, form=batch_form(model)), batch_size=4)
    np.testing.assert_allclose(together.sums, evaluated[0], rtol=1e-5)
    assert together.tokens == evaluated[1]
    without_cache = read_rows(model, rows, pad_id=0, batch_size=4, loss=True)
    assert without_cache.sums == evaluated[0]
