"""The models of a choice in memory with their head: read grades of submissions, one forward pass per row.

Loads torch when models are loaded, not when it is imported. One thread may use it at a time. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.base_model import base_of
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.grading import store
from opeddev_tui.grading.features import Readings, adapters_off, read_rows
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_tokens
from opeddev_tui.grading.graded_rows import prompt_frame
from opeddev_tui.grading.n_grams import NGramGrader
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.reader import prompt_hash
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import GradeRow, grade_row
from opeddev_tui.runs.grade_records import N_GRAMS, STEP_TEXT
from opeddev_tui.serving.choice import Choice
from opeddev_tui.workspace.paths import Workspace

Found = TypeVar("Found")
_PRECISIONS = ("fp32", "bf16", "fp16")


class Answers(Struct, frozen=True):
    """Answers for n rows. ``places`` [n] of the scale, −1 without a grade; ``grades`` None for a way without.

    ``sets`` [n, grades] and, of each row, the areas with the probability that they failed and whether they are named.
    """

    places: NDArray[np.int64]
    grades: Grades | None = None
    sets: NDArray[np.bool_] | None = None
    areas: list[dict[str, tuple[float, bool]]] | None = None


class LoadedModels:
    """The models that ``choice`` needs. ``texts``: that which writes is loaded too where another one grades.

    ``stem`` is the text before and after a grade, None where completions begin in different words. Raises
    ``ModelProblem`` or ``StorageProblem``.
    """

    def __init__(
        self, workspace: Workspace, choice: Choice, stem: tuple[str, str] | None, *, texts: bool = False
    ) -> None:
        from opeddev_tui.models import loading, token_check
        from opeddev_tui.models.precision import resolve_precision

        loading.quiet_libraries()
        self.choice, self.stem, self.settings = choice, stem, choice.settings
        self.scale = Scale.of(choice.settings.grading)
        self.precision = resolve_precision(self.settings.model.precision)
        self.batch = self.settings.grade.batch_size
        self.notes: list[str] = []
        self._base_source = loading.source_of(workspace.root, self.settings.model.name)
        entry = choice.entry
        source = self._base_source if entry is None else str(entry.folder)
        # kept from being deleted while it is loaded
        with folders.in_use(Path(source)):
            fitted = token_check.fit(source, self.settings)
            self.tokenizer, self.encoder = fitted.tokenizer, fitted.encoder
            self.base: Any = None
            self.tuned: Any = None
            self._load(texts=texts)
        self.prompt = prompt_hash(self.tokenizer, self.settings, self.precision.name)
        self.head = self._head() if choice.head_folder is not None else None
        self.tokens = self._grade_tokens()

    # --- loading

    def _load(self, *, texts: bool) -> None:
        from opeddev_tui.models import loading
        from opeddev_tui.models.fingerprint import fingerprint

        entry, model = self.choice.entry, self.settings.model
        below = None
        if self.choice.reads_base:
            self.base = loading.load_model(self._base_source, model).eval()
            self._base_weights = fingerprint(self.base)
        if entry is None or (not self.choice.reads_step and not texts):
            return
        if not entry.lora:
            self.tuned = loading.load_model(str(entry.folder), model).eval()
            return
        loading.require_base_for(entry.folder, model)
        manifest = folders.manifest_of(entry.folder)
        source = base_of(entry.folder, manifest)
        # one set of weights for both where the adapters sit on the base model itself
        below = (
            self.base if self.base is not None and source == self._base_source else loading.load_model(source, model)
        )
        self.tuned = loading.with_adapters(below, self.settings.lora, entry.folder).eval()
        if below is self.base:
            self.base = self.tuned

    def _head(self) -> store.StoredHead:
        """Return the head, also where it was fitted in another arithmetic than this machine's, which is noted."""
        folder, entry = self.choice.head_folder, self.choice.entry
        assert folder is not None
        if self.choice.way == N_GRAMS:
            return store.load_head(folder, base="", prompt="", model=store.N_GRAMS)
        which = store.BASE if self.choice.reads_base else store.STEP
        if self.choice.reads_base:
            weights = self._base_weights
        else:
            assert entry is not None
            weights = folders.manifest_of(entry.folder).digest
        fitted_on = store.origin_of(folder, which).prompt
        prompts = {name: prompt_hash(self.tokenizer, self.settings, name) for name in _PRECISIONS}
        other = next((name for name, known in prompts.items() if known == fitted_on), self.precision.name)
        if other != self.precision.name:
            self.notes.append(
                f"the head was fitted on {other} states and reads {self.precision.name} ones here: a grade at the edge "
                "between two may come out as the other."
            )
        return store.load_head(folder, base=weights, prompt=prompts.get(other, self.prompt), model=which)

    def _grade_tokens(self) -> GradeTokens | None:
        if self.head is not None or self.choice.way == STEP_TEXT or self.stem is None:
            return None
        return grade_tokens(self.encoder, self.stem, self.scale.labels)

    @property
    def reads_text(self) -> bool:
        """True where a grade is read from a generated text: no head, and no tokens that tell grades."""
        return self.head is None and self.tokens is None

    @property
    def _reading(self) -> Any:
        return self.base if self.choice.reads_base else self.tuned

    @property
    def writing(self) -> Any:
        """The model that writes texts."""
        return self.tuned if self.tuned is not None else self.base

    @property
    def device(self) -> Any:
        """Where the model is."""
        return next(self.writing.parameters()).device

    # --- reading

    def row(self, example: Example) -> GradeRow:
        """Return ``example`` as tokens, cut as in training; raises ``DataProblem`` where the template refuses it.

        N-grams read the whole submission, so nothing is cut for them.
        """
        row = grade_row(self.encoder, example, max_length=self.encoder.max_length)
        return row if self.choice.way != N_GRAMS else replace(row, cut=False)

    def answers(self, examples: Sequence[Example], rows: Sequence[GradeRow]) -> Answers:
        """Return the grades of ``examples``, whose tokens are ``rows``."""
        if self.reads_text:
            return self._written(examples)
        if self.head is not None:
            return self._by_head(self.head, examples, rows)
        assert self.tokens is not None
        # the first grade's own tokens stand where a completion would: none of them is read
        after = [*self.tokens.stem, *self.tokens.tails[0]]
        asked = [GradeRow(row.prompt, after, row.span, row.cut) for row in rows]
        found = self._read(asked, self.tokens).grade_probabilities
        if found is None:
            return Answers(np.zeros(0, np.int64))
        grades = Grades(found)
        return Answers(grades.median, grades)

    def _by_head(self, head: store.StoredHead, examples: Sequence[Example], rows: Sequence[GradeRow]) -> Answers:
        kinds = [example.kind for example in examples]
        if head.pieces is not None:
            found = NGramGrader(head.pieces, head.head).grades([example.submission for example in examples], kinds)
            return Answers(found.median, found, head.head.sets(found))
        with adapters_off(self._reading) if self.choice.reads_base else nullcontext():
            states = self._read(rows).states
        grades = head.head.grades(states, kinds)
        areas = None
        if head.criteria is not None:
            from opeddev_tui.grading.areas import asked_areas

            prompts = [prompt_frame(example) for example in examples]
            chances = head.criteria.probabilities(states, kinds, prompts)
            asked = asked_areas(head.criteria.areas, kinds, prompts)
            names, limit = head.criteria.areas.names, head.criteria.threshold
            areas = [
                {
                    name: (float(p), bool(p >= limit))
                    for name, p, is_asked in zip(names, row, of, strict=True)
                    if is_asked
                }
                for row, of in zip(chances, asked, strict=True)
            ]
        return Answers(grades.median, grades, head.head.sets(grades), areas)

    def _written(self, examples: Sequence[Example]) -> Answers:
        from opeddev_tui.models import generation

        most = self.settings.grading.max_new_tokens
        prompts = [self.encoder.encode_question(example.prompt, most) for example in examples]
        found = self.within_memory(
            lambda batch: generation.generate(
                self.writing,
                self.encoder,
                prompts,
                pad_id=self.tokenizer.pad_token_id,
                max_new_tokens=most,
                batch_size=batch,
            )
        )
        stated = [parse_grade(self.encoder.decode(ids), self.settings.grading) for ids in found]
        places = [-1 if grade is None else grade - self.scale.minimum for grade in stated]
        return Answers(np.array(places, dtype=np.int64))

    def _read(self, rows: Sequence[GradeRow], tokens: GradeTokens | None = None) -> Readings:
        model, pad_id = self._reading, self.tokenizer.pad_token_id
        return self.within_memory(
            lambda batch: read_rows(model, rows, pad_id=pad_id, batch_size=batch, grade_tokens=tokens)
        )

    def within_memory(self, work: Callable[[int], Found]) -> Found:
        """Return ``work(rows per batch)`` in the training's precision; what did not fit once is not tried again."""
        from opeddev_tui.models.precision import autocast
        from opeddev_tui.models.smaller_batches import in_batches_that_fit

        def tried(batch: int) -> Found:
            self.batch = batch
            return work(batch)

        with autocast(self.precision, self.device):
            return in_batches_that_fit(tried, self.batch)
