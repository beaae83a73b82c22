"""Have all ranks read their shares with the model in memory, and put what they find together; one rank reads it all.

What is found does not depend on how many ranks there are: whole batches are dealt (``ranks.dealing``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opeddev_tui.config import settings as st
from opeddev_tui.models import generation, memory, sharding
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.models.token_rows import TokenRow
from opeddev_tui.ranks.dealing import by_length, in_turn
from opeddev_tui.ranks.words import Array, Found, GradedSet, ReadGrades, ReadLosses, ReadStates, Task, WriteTexts
from opeddev_tui.training import reading
from opeddev_tui.training.model_in_use import ModelRunner
from opeddev_tui.training.reading import OnTokens

if TYPE_CHECKING:
    from opeddev_tui.grading.features import Readings
    from opeddev_tui.grading.grade_tokens import GradeTokens
    from opeddev_tui.grading.spans import GradeRow


def losses(runner: ModelRunner, rows: Sequence[TokenRow], on_batch: OnBatch) -> tuple[list[float], list[int]]:
    """Return the summed loss and the tokens of each of the hold-out's ``rows``."""
    if runner.team is None:
        return reading.read_losses(runner, rows, on_batch)
    dealt = by_length([row.length for row in rows], runner.batch, runner.team.world)
    parts = _all(
        runner,
        ReadLosses(runner.batch),
        lambda: found_losses(reading.read_losses(runner, _of(rows, dealt[0]), on_batch)),
    )
    return _placed(dealt, [part.sums for part in parts]), _placed(dealt, [part.tokens for part in parts])


def grades(runner: ModelRunner, rows: Sequence[GradeRow], tokens: GradeTokens | None, on_batch: OnBatch) -> Readings:
    """Return losses, states and grade probabilities of the hold-out's ``rows``."""
    from opeddev_tui.grading.features import Readings

    if runner.team is None:
        return reading.read_grades(runner, rows, tokens, on_batch)
    dealt = by_length([row.length for row in rows], runner.batch, runner.team.world)
    parts = _all(
        runner,
        ReadGrades(runner.batch),
        lambda: found_readings(reading.read_grades(runner, _of(rows, dealt[0]), tokens, on_batch)),
    )
    probabilities = [None if part.grades is None else array(part.grades) for part in parts]
    return Readings(
        np.stack(_placed(dealt, [_arrays(part.states) for part in parts])),
        _placed(dealt, [part.sums for part in parts]),
        _placed(dealt, [part.tokens for part in parts]),
        np.stack(_placed(dealt, [[] if each is None else list(each) for each in probabilities]))
        if any(each is not None and len(each) for each in probabilities)
        else None,
    )


def states(
    runner: ModelRunner, every: Sequence[GradeRow], numbers: Sequence[int], on_batch: OnBatch, *, of: GradedSet
) -> NDArray[np.float32]:
    """Return the states of the rows ``numbers`` of ``every``, the graded rows that ``of`` names to the hands."""
    rows = _of(every, numbers)
    if runner.team is None:
        return reading.read_states(runner, rows, on_batch).states
    dealt = by_length([row.length for row in rows], runner.batch, runner.team.world)
    parts = _all(
        runner,
        ReadStates(runner.batch, list(numbers), of),
        lambda: found_readings(reading.read_states(runner, _of(rows, dealt[0]), on_batch)),
    )
    return np.stack(_placed(dealt, [_arrays(part.states) for part in parts]))


def texts(
    runner: ModelRunner,
    settings: st.Settings,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    *,
    on_batch: OnBatch | None = None,
    on_tokens: OnTokens | None = None,
) -> list[list[int]]:
    """Return the new token ids for each of ``prompts``; only rank 0's own are told while they grow."""
    if runner.team is None:
        return reading.write_texts(runner, settings, prompts, max_new_tokens, on_batch=on_batch, on_tokens=on_tokens)
    dealt = dealt_prompts(runner, settings, prompts, max_new_tokens, runner.batch, runner.team.world)
    streamed = None if on_tokens is None else _among(len(prompts), dealt[0], on_tokens)
    parts = _all(
        runner,
        WriteTexts(runner.batch, [list(prompt) for prompt in prompts], max_new_tokens),
        lambda: Found(
            texts=reading.write_texts(
                *(runner, settings, _of(prompts, dealt[0]), max_new_tokens), on_batch=on_batch, on_tokens=streamed
            )
        ),
    )
    return _placed(dealt, [part.texts for part in parts])


def dealt_prompts(
    runner: ModelRunner,
    settings: st.Settings,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch: int,
    world: int,
) -> list[list[int]]:
    """Return the places of each rank among ``prompts``, in the batches in which one rank would write."""
    loaded = runner.loaded
    size = memory.generation_batch(settings, batch)
    return in_turn(generation.prompt_batches(loaded.model, loaded.encoder, prompts, size, max_new_tokens), world)


def _among(count: int, places: Sequence[int], tell: OnTokens) -> OnTokens:
    """Return what tells of the texts at ``places`` among ``count``; the others are still empty."""

    def told(texts: list[list[int]], finished: int) -> None:
        every: list[list[int]] = [[] for _ in range(count)]
        for place, text in zip(places, texts, strict=True):
            every[place] = text
        tell(every, finished)

    return told


def _all(runner: ModelRunner, task: Task, own: Callable[[], Found]) -> list[Found]:
    """Give ``task`` to the hands, do ``own`` share, and return what all found, rank by rank."""
    assert runner.team is not None
    number = runner.team.say(task)
    # the hands do so as well when they hear it
    sharding.gather(runner.loaded.model)
    return [own(), *(found for _, found in runner.team.answers(number))]


def _of(rows: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [rows[place] for place in places]


def _placed(dealt: Sequence[Sequence[int]], parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the parts' items in the order of the rows; ``dealt`` are the ranks' places."""
    found: dict[int, Any] = {}
    for places, part in zip(dealt, parts, strict=True):
        found.update(zip(places, part, strict=True))
    return [found[place] for place in range(len(found))]


# --- as the line carries it


def found_losses(found: tuple[list[float], list[int]]) -> Found:
    """Return losses as a hand answers them."""
    return Found(sums=found[0], tokens=found[1])


def found_readings(found: Readings) -> Found:
    """Return readings as a hand answers them."""
    probabilities = found.grade_probabilities
    return Found(
        sums=found.sums,
        tokens=found.tokens,
        states=packed(found.states),
        grades=None if probabilities is None else packed(probabilities),
    )


def packed(values: NDArray[Any]) -> Array:
    """Return ``values`` as the line carries them."""
    return Array(values.dtype.str, values.shape, np.ascontiguousarray(values).tobytes())


def array(packed_values: Array) -> NDArray[Any]:
    """Return the array that ``packed`` made these of."""
    return np.frombuffer(packed_values.content, np.dtype(packed_values.kind)).reshape(packed_values.shape)


def _arrays(packed_values: Array | None) -> list[NDArray[np.float32]]:
    return [] if packed_values is None else list(array(packed_values))
