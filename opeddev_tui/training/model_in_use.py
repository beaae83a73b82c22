"""Run work on a model in memory: in the training's precision, in smaller batches after out-of-memory, telling how far.

Must not change the random state by itself, nor the model.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.format import duration
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.precision import Precision, autocast
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.models.smaller_batches import in_batches_that_fit
from opeddev_tui.ranks.team import Team
from opeddev_tui.runs import events as ev

Found = TypeVar("Found")
# how often long work reports how far it is: a run without events is shown as stalled
PULSE_SECONDS = 10.0


class ModelInUse(Struct, frozen=True):
    """A model in memory with its tokenizer, its encoder and the precision of its arithmetic."""

    model: CausalLM
    tokenizer: Tokenizer
    encoder: ChatEncoder
    precision: Precision


class ModelRunner:
    """Runs work on ``loaded``; what happens goes to ``bus``. The ranks of ``team`` have the same model in memory."""

    def __init__(self, settings: st.Settings, bus: ev.Sink, loaded: ModelInUse, team: Team | None = None) -> None:
        self.loaded = loaded
        self.team = team
        self._bus = bus
        self._batch = settings.training.per_device_eval_batch_size

    @property
    def batch(self) -> int:
        """Rows that are read together, as far as is known of the memory."""
        return self._batch

    def within_memory(self, work: Callable[[int], Found]) -> Found:
        """Return ``work(rows per batch)`` in the training's precision; halve the batch after each out-of-memory."""

        def tried(batch: int) -> Found:
            if batch < self._batch:
                self._batch = batch
                self._bus.emit(ev.Warned(message=f"out of memory while rows are read: batch {batch} from now on"))
            with autocast(self.loaded.precision, next(self.loaded.model.parameters()).device):
                return work(batch)

        return in_batches_that_fit(tried, self._batch)

    def pulse(self, phase: str, unit: str) -> OnBatch:
        """Return a callback (done, total) that reports progress in ``unit``, at most every ``PULSE_SECONDS``."""
        began = reported_at = time.monotonic()

        def pulse(done: int, total: int) -> None:
            nonlocal reported_at
            now = time.monotonic()
            if now - reported_at >= PULSE_SECONDS:
                reported_at = now
                left = f", about {duration((now - began) / done * (total - done))} left" if 0 < done < total else ""
                self.phase(phase, f"{done} of {total} {unit}{left}")

        return pulse

    def phase(self, phase: str, detail: str) -> None:
        """Say what is being done now."""
        self._bus.emit(ev.PhaseChanged(phase=phase, detail=detail))
