"""Provide a run's head on the base model: load the kept one, or fit one on that model's features once per step.

Features of rows that were read before come from the cache; the base model is loaded only where some are missing. A
failure is recorded and costs the training nothing but this head.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.grading import store
from opeddev_tui.grading.feature_cache import FeatureCache, short_hash
from opeddev_tui.grading.features import base_features, layers_of
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.reader import prompt_hash
from opeddev_tui.grading.records import recorded
from opeddev_tui.grading.scores import Predictions, figures
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
from opeddev_tui.training.model_in_use import ModelInUse, ModelRunner
from opeddev_tui.workspace.paths import Workspace

_LOG = logging.getLogger(__name__)
FOLDER = "grading"
_READING = "holdout_grades.json"


class BaseHead(Struct, frozen=True):
    """The head on the base model, and its reading of the graded hold-out rows: the same after every epoch."""

    stored: store.StoredHead
    reading: Reading


class _Kept(Struct, frozen=True):
    """A reading as the run's folder keeps it."""

    probabilities: list[list[float]]
    sets: list[list[bool]]
    named: list[list[str]]


class _Known(Struct, frozen=True):
    """What is known of a base model without its weights: their fingerprint and the layers that are read."""

    fingerprint: str
    layers: tuple[int, ...]


class _Features(Struct, frozen=True):
    features: NDArray[np.float32]
    read: int
    seconds: float
    origin: store.Origin


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

    def _event(
        self, head: BaseHead, read: int = 0, read_seconds: float = 0.0, fit_seconds: float = 0.0
    ) -> ev.HeadFitted:
        seen = figures(Predictions.of(head.reading.grades), self.graded.reference)
        return ev.HeadFitted(
            head="base",
            epoch=0,
            rows=head.stored.head.rows,
            read=read,
            read_seconds=read_seconds,
            fit_seconds=fit_seconds,
            model=self.settings.model.name,
            out_of_fold=recorded(head.stored.out_of_fold),
            claim=check_claim(head.stored.out_of_fold, seen, remembered=False).words,
        )

    # --- kept with the run

    @property
    def _prompt(self) -> str:
        return prompt_hash(self.tokenizer, self.settings, self.precision.name)

    def _kept(self, folder: Path) -> BaseHead | None:
        """Return what an earlier attempt kept in ``folder``; None where it is not there, damaged or of other rows."""
        try:
            found = msgspec.json.decode((folder / _READING).read_bytes(), type=_Kept)
            origin = store.origin_of(folder)
            stored = store.load_head(folder, base=origin.base, prompt=self._prompt)
        except (OSError, ValueError, Problem):
            return None
        if len(found.probabilities) != len(self.graded.places):
            return None
        sets = np.array(found.sets, dtype=bool)
        return BaseHead(stored, Reading(Grades(np.array(found.probabilities)), sets, found.named))

    def _keep(self, folder: Path, head: BaseHead) -> None:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.save_head(folder, head.stored)
        reading = head.reading
        kept = _Kept(reading.grades.probabilities.tolist(), reading.sets.tolist(), reading.named)
        write_atomic(folder / _READING, msgspec.json.encode(kept), mode=0o600)

    # --- fitted

    def _fitted(self, folder: Path, model: CausalLM | None) -> tuple[BaseHead, ev.HeadFitted]:
        found = self._features(model)
        began = time.perf_counter()
        rows, count = self.graded.rows, len(self.graded.train)
        fitted = fit_step(found.features[:count], rows.train, rows.scale, rows.areas)
        reading = read(fitted, found.features[count:], rows.held.kinds, rows.held.prompts)
        head = BaseHead(store.StoredHead(found.origin, fitted.head, fitted.criteria, fitted.measured), reading)
        self._keep(folder, head)
        return head, self._event(head, found.read, found.seconds, time.perf_counter() - began)

    def _features(self, model: CausalLM | None) -> _Features:
        """Return features of training and hold-out rows on the base model, loaded only if one of them is unknown."""
        rows = [*self.graded.train, *self.graded.held]
        name = self._name()
        known = self._known(name)
        if model is None and known is not None and self._cache(known).holds([row.key for row in rows]):
            nothing: Any = None
            found = base_features(nothing, rows, pad_id=0, batch_size=1, cache=self._cache(known))
            return _Features(found, 0, 0.0, self._origin(known))
        began = time.perf_counter()
        in_memory = model is not None
        if model is None:
            self.bus.emit(ev.PhaseChanged(phase="loading model", detail=f"{self.settings.model.name}, to read grades"))
            model = loading.load_model(self._source, self.settings.model)
        known = self._remember(name, _Known(fingerprint(model), tuple(layers_of(model))))
        found, read_now = self._read(model, known)
        if not in_memory:
            del model
            give_back_memory()
        return _Features(found, read_now, time.perf_counter() - began, self._origin(known))

    def known_features(self) -> NDArray[np.float32] | None:
        """Return the features of training and hold-out rows on the base model, None unless all are cached."""
        rows, known = [*self.graded.train, *self.graded.held], self._known(self._name())
        if known is None or not self._cache(known).holds([row.key for row in rows]):
            return None
        nothing: Any = None
        return base_features(nothing, rows, pad_id=0, batch_size=1, cache=self._cache(known))

    def _read(self, model: CausalLM, known: _Known) -> tuple[NDArray[np.float32], int]:
        runner = ModelRunner(self.settings, self.bus, ModelInUse(model, self.tokenizer, self.encoder, self.precision))
        rows = [*self.graded.train, *self.graded.held]
        runner.phase("reading", f"{len(rows)} rows on the base model, for the grade head")
        pulse, read_now = runner.pulse("reading", "rows on the base model"), 0

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

    def _cache(self, known: _Known) -> FeatureCache:
        return FeatureCache(self.workspace.grading, base=known.fingerprint, prompt=self._prompt, layers=known.layers)

    def _origin(self, known: _Known) -> store.Origin:
        return store.Origin(base=known.fingerprint, prompt=self._prompt, layers=known.layers, model=store.BASE)

    # --- which weights the base model has, without loading them

    @property
    def _source(self) -> str:
        return loading.source_of(self.workspace.root, self.settings.model.name)

    @property
    def _record(self) -> Path:
        return self.workspace.grading / "bases.json"

    def _name(self) -> str:
        """Return what stands for the base model's weights in the record: its commit, or a hash of its files."""
        commit = loading.commit_of(self._source, self.settings.model)
        return short_hash(self.settings.model.name, commit, *sorted(file_hashes(self._source).items()))

    def _known(self, name: str) -> _Known | None:
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=dict[str, _Known]).get(name)
        except (OSError, ValueError):
            return None

    def _remember(self, name: str, known: _Known) -> _Known:
        try:
            every = json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            every = {}
        with storage_errors(self._record):
            self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        every[name] = msgspec.to_builtins(known)
        write_atomic(self._record, json.dumps(every, indent=1).encode(), mode=0o600)
        return known
