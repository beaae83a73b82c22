"""Provide a run's head on the base model: load the kept one, or fit one on that model's features once per step.

Features of rows that were read before come from the cache; the base model is loaded only where some are missing. A
failure is recorded and costs the training nothing but this head.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem
from opeddev_tui.files import read_record, storage_errors, write_atomic
from opeddev_tui.grading import store
from opeddev_tui.grading.feature_cache import FeatureCache, short_hash
from opeddev_tui.grading.features import base_features, layers_of
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.reader import prompt_hash
from opeddev_tui.grading.records import recorded
from opeddev_tui.grading.scores import Predictions, figures
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.grading.step_head import Reading, fit_step, read
from opeddev_tui.models import loading
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.fingerprint import file_hashes, fingerprint
from opeddev_tui.models.precision import Precision
from opeddev_tui.models.smaller_batches import give_back_memory
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training.deciders import StopRequested
from opeddev_tui.training.graded_step import GradedStep
from opeddev_tui.training.known_bases import KnownBase, KnownBases
from opeddev_tui.training.model_in_use import ModelInUse, ModelRunner
from opeddev_tui.workspace.paths import Workspace

_LOG = logging.getLogger(__name__)
FOLDER = "grading"
_READING = "holdout_grades.json"


class BaseHead(Struct, frozen=True):
    """The head on the base model, and its reading of the graded hold-out rows: the same after every epoch."""

    stored: store.StoredHead
    reading: Reading


class BaseFeatures(Struct, frozen=True):
    """Features on the base model of training rows [n, d] and hold-out rows, and how those of m changed copies move."""

    train: NDArray[np.float32]
    held: NDArray[np.float32]
    moves: NDArray[np.float32]


class _Kept(Struct, frozen=True):
    """A reading as the run's folder keeps it; ``steadied``: with how many changed copies its head was held steady."""

    probabilities: list[list[float]]
    sets: list[list[bool]]
    named: list[list[str]]
    steadied: int = 0


class _Cost(Struct, frozen=True):
    """How many rows were read, and what that took."""

    read: int = 0
    seconds: float = 0.0


class _Found(Struct, frozen=True):
    """Features, and what reading took: of ``rows``, and of the changed ``copies``."""

    features: BaseFeatures
    origin: store.Origin
    rows: _Cost = _Cost()
    copies: _Cost = _Cost()


class BaseHeadMaker(Struct, frozen=True):
    """Makes the base head of one run. ``raise_if_stopped`` raises ``StopRequested`` where a person wants the end."""

    workspace: Workspace
    settings: st.Settings
    bus: Bus
    graded: GradedStep
    tokenizer: Tokenizer
    encoder: ChatEncoder
    precision: Precision
    raise_if_stopped: Callable[[], None]

    def make(self, run: str, model: CausalLM | None) -> BaseHead | None:
        """Return the head of ``run``; None where there is none, which is recorded with the reason.

        ``model`` is the base model where it is in memory. Raises ``StopRequested``.
        """
        earlier = self.bus.state.heads.get(("base", 0))
        told = earlier is not None and not earlier.problem
        if self.graded.no_head:
            if earlier is None:
                self._without(self.graded.no_head)
            return None
        folder = self.workspace.run_folder(run) / FOLDER
        try:
            kept = self._kept(folder)
            if kept is not None:
                head, event = kept, self._event(kept)
            else:
                head, event = self._fitted(folder, model)
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a head, the training goes on
            _LOG.exception("no grade head on the base model")
            self._without(str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}")
            return None
        if not told:
            self.bus.emit(event)
        return head

    def _without(self, reason: str) -> None:
        self.bus.emit(ev.HeadFitted(head="base", epoch=0, model=self.settings.model.name, problem=reason))
        self.bus.emit(ev.Warned(message=f"no grade head is fitted: {reason}"))

    def _event(self, head: BaseHead, found: _Found | None = None, fit_seconds: float = 0.0) -> ev.HeadFitted:
        seen = figures(Predictions.of(head.reading.grades), self.graded.reference)
        rows, copies = (found.rows, found.copies) if found is not None else (_Cost(), _Cost())
        return ev.HeadFitted(
            head="base",
            epoch=0,
            rows=head.stored.head.rows,
            read=rows.read,
            read_seconds=rows.seconds,
            fit_seconds=fit_seconds,
            model=self.settings.model.name,
            out_of_fold=recorded(head.stored.out_of_fold),
            claim=check_claim(head.stored.out_of_fold, seen, len(self.graded.places), remembered=False).words,
            steadied=self._steadied,
            steady_read=copies.read,
            steady_seconds=copies.seconds,
        )

    # --- kept with the run

    @property
    def _steadied(self) -> int:
        return len(self.graded.copies.rows)

    @property
    def _prompt(self) -> str:
        return prompt_hash(self.tokenizer, self.settings, self.precision.name)

    def _kept(self, folder: Path) -> BaseHead | None:
        """Return what an earlier attempt kept in ``folder``.

        None where it is not there, damaged, of other rows, or held steady otherwise than the settings say.
        """
        try:
            found = read_record(folder / _READING, _Kept)
            origin = store.origin_of(folder)
            stored = store.load_head(folder, base=origin.base, prompt=self._prompt)
        except (OSError, ValueError, Problem):
            return None
        if len(found.probabilities) != len(self.graded.places) or found.steadied != self._steadied:
            return None
        sets = np.array(found.sets, dtype=bool)
        return BaseHead(stored, Reading(Grades(np.array(found.probabilities)), sets, found.named))

    def _keep(self, folder: Path, head: BaseHead) -> None:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.save_head(folder, head.stored)
        reading = head.reading
        kept = _Kept(reading.grades.probabilities.tolist(), reading.sets.tolist(), reading.named, self._steadied)
        write_atomic(folder / _READING, msgspec.json.encode(kept), mode=0o600)

    # --- fitted

    def _fitted(self, folder: Path, model: CausalLM | None) -> tuple[BaseHead, ev.HeadFitted]:
        found = self._features(model)
        began = time.perf_counter()
        rows, known = self.graded.rows, found.features
        fitted = fit_step(known.train, rows.train, rows.scale, rows.areas, differences=known.moves)
        reading = read(fitted, known.held, rows.held.kinds, rows.held.prompts)
        head = BaseHead(store.StoredHead(found.origin, fitted.head, fitted.criteria, fitted.measured), reading)
        self._keep(folder, head)
        return head, self._event(head, found, time.perf_counter() - began)

    def _features(self, model: CausalLM | None) -> _Found:
        """Return the features on the base model, which is loaded only if one of them is unknown."""
        name = self._name()
        known = self._bases.get(name)
        if model is None and known is not None and (cached := self._cached(known)) is not None:
            return _Found(cached, self._origin(known))
        began = time.perf_counter()
        in_memory = model is not None
        if model is None:
            self.bus.emit(ev.PhaseChanged(phase="loading model", detail=f"{self.settings.model.name}, to read grades"))
            model = loading.load_model(self._source, self.settings.model)
        known = KnownBase(fingerprint(model), tuple(layers_of(model)))
        self._bases.put(name, known)
        rows, read_now = self._read(model, known, self._rows, "rows on the base model")
        cost, copies, changed = _Cost(read_now, time.perf_counter() - began), _Cost(), rows[:0]
        if self._steadied:
            unit = "rows with a comment added, on the base model"
            changed, changed_now = self._read(model, known, self.graded.copies.rows, unit)
            # where only copies were unknown, the model was loaded for them
            cost = cost if read_now else _Cost()
            copies = _Cost(changed_now, time.perf_counter() - began - cost.seconds)
        if not in_memory:
            del model
            give_back_memory()
        return _Found(self._parted(rows, changed), self._origin(known), cost, copies)

    def known_features(self) -> BaseFeatures | None:
        """Return the features on the base model, None unless all are cached."""
        known = self._bases.get(self._name())
        return self._cached(known) if known is not None else None

    def _cached(self, known: KnownBase) -> BaseFeatures | None:
        cache, every = self._cache(known), [*self._rows, *self.graded.copies.rows]
        if not cache.holds([row.key for row in every]):
            return None
        nothing: Any = None
        found = base_features(nothing, every, pad_id=0, batch_size=1, cache=cache)
        return self._parted(found[: len(self._rows)], found[len(self._rows) :])

    @property
    def _rows(self) -> list[GradeRow]:
        return [*self.graded.train, *self.graded.held]

    def _parted(self, rows: NDArray[np.float32], changed: NDArray[np.float32]) -> BaseFeatures:
        """Return features of training and hold-out ``rows`` and of the ``changed`` copies as they are used."""
        train, held = rows[: len(self.graded.train)], rows[len(self.graded.train) :]
        return BaseFeatures(train, held, self.graded.copies.moves(train, changed))

    def _read(
        self, model: CausalLM, known: KnownBase, rows: Sequence[GradeRow], unit: str
    ) -> tuple[NDArray[np.float32], int]:
        """Return the features of ``rows``, which are called ``unit``, and how many of them were not known."""
        runner = ModelRunner(self.settings, self.bus, ModelInUse(model, self.tokenizer, self.encoder, self.precision))
        runner.phase("reading", f"{len(rows)} {unit}, for the grade head")
        pulse, read_now = runner.pulse("reading", unit), 0

        def on_batch(done: int, total: int) -> None:
            nonlocal read_now
            read_now = done
            self.raise_if_stopped()
            pulse(done, total)

        found = runner.within_memory(
            lambda batch: base_features(
                *(model, rows),
                pad_id=self.tokenizer.pad_token_id,
                batch_size=batch,
                cache=self._cache(known),
                on_batch=on_batch,
            )
        )
        return found, read_now

    def _cache(self, known: KnownBase) -> FeatureCache:
        return FeatureCache(self.workspace.grading, base=known.fingerprint, prompt=self._prompt, layers=known.layers)

    def _origin(self, known: KnownBase) -> store.Origin:
        return store.Origin(base=known.fingerprint, prompt=self._prompt, layers=known.layers, model=store.BASE)

    # --- which weights the base model has, without loading them

    @property
    def _source(self) -> str:
        return loading.source_of(self.workspace.root, self.settings.model.name)

    @property
    def _bases(self) -> KnownBases:
        return KnownBases(self.workspace.grading)

    def _name(self) -> str:
        """Return what stands for the base model's weights in the record: its commit, or a hash of its files."""
        commit = loading.commit_of(self._source, self.settings.model)
        return short_hash(self.settings.model.name, commit, *sorted(file_hashes(self._source).items()))
