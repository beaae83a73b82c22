"""A model in memory that turns examples into features, through the cache, and reads its grade tokens.

Loads torch when a model is opened, not when it is imported. Must not fit anything.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.grading.feature_cache import FeatureCache, short_hash
from opeddev_tui.grading.features import Readings, base_features, layers_of, read_rows
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_stem, grade_tokens
from opeddev_tui.grading.graded_rows import GradedRows
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import GradeRow, grade_rows
from opeddev_tui.grading.steady_rows import steadying_copies
from opeddev_tui.models.reading_batches import OnBatch

Found = TypeVar("Found")


class Extraction(Struct, frozen=True):
    """Features [n, d] of n rows; ``read`` of them were read in ``seconds``, the others were in the cache."""

    features: NDArray[np.float32]
    read: int
    seconds: float


class TokenGrades(Struct, frozen=True):
    """Grades by the model's probabilities of the tokens that write them, and how long reading them took."""

    grades: Grades
    seconds: float


class WrittenGrades(Struct, frozen=True):
    """Grades read from generated texts, as ``Example.grade`` (None: no grade), and how long generating took."""

    grades: tuple[int | None, ...]
    seconds: float


def prompt_hash(tokenizer: Any, settings: Settings, precision: str) -> str:
    """Return a hash of what makes a row's prompt, and of the arithmetic: 16-bit states are not those of float32."""
    grading = settings.grading
    return short_hash(tokenizer.chat_template, grading.system_prompt, grading.prompt_template, precision)


class FeatureReader:
    """A model with its tokenizer. ``source`` is a model folder, a checkpoint folder or a hub name.

    Features are cached below ``cache`` by weights, prompt template and arithmetic. Raises ``ModelProblem`` for a model
    or tokenizer that cannot be used.
    """

    def __init__(self, source: str, settings: Settings, cache: Path) -> None:
        from opeddev_tui.models import loading, token_check
        from opeddev_tui.models.fingerprint import fingerprint
        from opeddev_tui.models.precision import resolve_precision

        loading.quiet_libraries()
        fitted = token_check.fit(source, settings)
        self._settings = settings
        self._fitted = fitted
        self._pad_id: int = fitted.tokenizer.pad_token_id
        self._model: Any = loading.load_model(source, settings.model).eval()
        self._precision = resolve_precision(settings.model.precision)
        prompt = prompt_hash(fitted.tokenizer, settings, self._precision.name)
        self._cache = FeatureCache(cache, base=fingerprint(self._model), prompt=prompt, layers=layers_of(self._model))

    def check(self, train: Sequence[Example], holdout: Sequence[Example]) -> None:
        """Raise the ``Problem`` with which a training would refuse these rows."""
        from opeddev_tui.models import token_check

        token_check.encode_step(self._fitted, self._settings, train, holdout)

    def features(self, examples: Sequence[Example], on_batch: OnBatch | None = None) -> Extraction:
        """Return the features of ``examples``; ``on_batch(done, total)`` counts those that are not in the cache."""
        return self._extract(
            grade_rows(self._fitted.encoder, examples, max_length=self._fitted.encoder.max_length), on_batch
        )

    def _extract(self, rows: Sequence[GradeRow], on_batch: OnBatch | None) -> Extraction:
        read = 0

        def counted(done: int, total: int) -> None:
            nonlocal read
            read = done
            if on_batch is not None:
                on_batch(done, total)

        began = time.perf_counter()
        cache, pad_id = self._cache, self._pad_id
        found = self._within_memory(
            lambda batch: base_features(
                self._model, rows, pad_id=pad_id, batch_size=batch, cache=cache, on_batch=counted
            )
        )
        return Extraction(found, read, time.perf_counter() - began)

    def moves(
        self, train: GradedRows, scale: Scale, features: NDArray[np.float32], on_batch: OnBatch | None = None
    ) -> Extraction:
        """Return how ``features`` [n, d] of the training rows move when a comment is added, to hold a head steady.

        [m, d]: m is 0 unless ``grading.steady`` is set, and where no row can take a comment.
        """
        encoder = self._fitted.encoder
        copies = steadying_copies(train, scale, self._settings.grading, encoder, encoder.max_length)
        if not copies.rows:
            return Extraction(features[:0], 0, 0.0)
        found = self._extract(copies.rows, on_batch)
        return replace(found, features=copies.moves(features, found.features))

    def token_grades(
        self,
        examples: Sequence[Example],
        completions: Sequence[str],
        scale: Scale,
        on_batch: OnBatch | None = None,
    ) -> TokenGrades | None:
        """Return grades of ``examples`` by token probabilities.

        None where the training ``completions`` do not begin alike, or two grades are written with the same tokens.
        """
        encoder = self._fitted.encoder
        stem = grade_stem(completions, self._settings.grading.pattern)
        tokens = grade_tokens(encoder, stem, scale.labels) if stem else None
        if tokens is None:
            return None
        rows = grade_rows(encoder, examples, max_length=encoder.max_length, completion=True)
        began = time.perf_counter()
        found = self._read(rows, on_batch, tokens=tokens)
        if found.grade_probabilities is None:
            return None
        return TokenGrades(Grades(found.grade_probabilities), time.perf_counter() - began)

    def written_grades(self, examples: Sequence[Example], on_batch: OnBatch | None = None) -> WrittenGrades:
        """Generate up to ``grading.max_new_tokens`` for each of ``examples`` and read the grade in each text."""
        from opeddev_tui.models import generation, memory

        settings, encoder = self._settings, self._fitted.encoder
        most = settings.grading.max_new_tokens
        prompts = [encoder.encode_question(example.prompt, most) for example in examples]
        began = time.perf_counter()
        found = self._within_memory(
            lambda batch: generation.generate(
                *(self._model, encoder, prompts),
                pad_id=self._pad_id,
                max_new_tokens=most,
                batch_size=memory.generation_batch(settings, batch),
                on_batch=on_batch,
            )
        )
        grades = tuple(parse_grade(encoder.decode(ids), settings.grading) for ids in found)
        return WrittenGrades(grades, time.perf_counter() - began)

    def losses(self, examples: Sequence[Example], on_batch: OnBatch | None = None) -> tuple[list[float], list[int]]:
        """Return each row's completion loss, summed in nats, and its number of completion tokens."""
        encoder = self._fitted.encoder
        found = self._read(
            grade_rows(encoder, examples, max_length=encoder.max_length, completion=True), on_batch, loss=True
        )
        return found.sums, found.tokens

    def _read(
        self,
        rows: Sequence[GradeRow],
        on_batch: OnBatch | None,
        *,
        loss: bool = False,
        tokens: GradeTokens | None = None,
    ) -> Readings:
        return self._within_memory(
            lambda batch: read_rows(
                *(self._model, rows),
                pad_id=self._pad_id,
                batch_size=batch,
                loss=loss,
                grade_tokens=tokens,
                on_batch=on_batch,
            )
        )

    def _within_memory(self, work: Callable[[int], Found]) -> Found:
        """Return ``work(rows per batch)`` in the training's precision."""
        from opeddev_tui.models.precision import autocast
        from opeddev_tui.models.smaller_batches import in_batches_that_fit

        with autocast(self._precision, next(self._model.parameters()).device):
            return in_batches_that_fit(work, self._settings.training.per_device_eval_batch_size)
