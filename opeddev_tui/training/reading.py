"""Read losses, grades and states with the model in memory, and write texts: one rank's share, or all of it.

Every rank does the same here with the rows that it is dealt. Must not change the random state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opeddev_tui.config import settings as st
from opeddev_tui.models import generation, losses, memory
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow
from opeddev_tui.training.model_in_use import ModelRunner

if TYPE_CHECKING:
    from opeddev_tui.grading.features import Readings
    from opeddev_tui.grading.grade_tokens import GradeTokens
    from opeddev_tui.grading.spans import GradeRow

OnTokens = Callable[[list[list[int]], int], None]


def read_losses(
    runner: ModelRunner, rows: Sequence[TokenRow], on_batch: OnBatch | None = None
) -> tuple[list[float], list[int]]:
    """Return what ``models.losses.example_losses`` does of ``rows``."""
    model = runner.loaded.model
    collate = LeftPadCollator(runner.loaded.tokenizer.pad_token_id, form=batch_form(model))
    return runner.within_memory(
        lambda batch: losses.example_losses(model, rows, collate, batch_size=batch, on_batch=on_batch)
    )


def read_grades(
    runner: ModelRunner, rows: Sequence[GradeRow], tokens: GradeTokens | None, on_batch: OnBatch | None = None
) -> Readings:
    """Return losses, states and grade probabilities of ``rows`` from one pass."""
    return _read(runner, rows, on_batch, loss=True, tokens=tokens)


def read_states(runner: ModelRunner, rows: Sequence[GradeRow], on_batch: OnBatch | None = None) -> Readings:
    """Return the states of ``rows``; the pass ends at the deepest layer that is read."""
    return _read(runner, rows, on_batch, loss=False, tokens=None)


def _read(
    runner: ModelRunner,
    rows: Sequence[GradeRow],
    on_batch: OnBatch | None,
    *,
    loss: bool,
    tokens: GradeTokens | None,
) -> Readings:
    from opeddev_tui.grading.features import read_rows

    loaded = runner.loaded
    return runner.within_memory(
        lambda batch: read_rows(
            *(loaded.model, rows),
            pad_id=loaded.tokenizer.pad_token_id,
            batch_size=batch,
            loss=loss,
            grade_tokens=tokens,
            on_batch=on_batch,
        )
    )


def write_texts(
    runner: ModelRunner,
    settings: st.Settings,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    *,
    on_batch: OnBatch | None = None,
    on_tokens: OnTokens | None = None,
) -> list[list[int]]:
    """Return the new token ids for each of ``prompts``."""
    loaded = runner.loaded
    return runner.within_memory(
        lambda batch: generation.generate(
            loaded.model,
            loaded.encoder,
            prompts,
            pad_id=loaded.tokenizer.pad_token_id,
            max_new_tokens=max_new_tokens,
            batch_size=memory.generation_batch(settings, batch),
            sampling=settings.generation,
            on_batch=on_batch,
            on_tokens=on_tokens,
        )
    )
