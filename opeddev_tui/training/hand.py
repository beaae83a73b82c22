"""Be a hand: a rank other than 0, which reads its orders, makes the same model and rows, and does what rank 0 says.

It holds nothing worth keeping: no journal, no lock, no decision, no event. Must not import what has them.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import load_step
from opeddev_tui.errors import Problem, ran_out_of_memory
from opeddev_tui.models import loading, sharding
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.models.precision import device_name, resolve_precision
from opeddev_tui.ranks import group, orders
from opeddev_tui.ranks.life import Life
from opeddev_tui.ranks.line import Line
from opeddev_tui.ranks.watch import NO_MEMORY
from opeddev_tui.ranks.words import Alone, Answer, AnyWord, End, Fault, Found, Join, Load, Ready, Save, Train
from opeddev_tui.training import hand_tasks, hand_trainer, hardware, inputs, trainer
from opeddev_tui.training.graded_step import graded_step
from opeddev_tui.training.model_in_use import ModelInUse, ModelRunner
from opeddev_tui.training.step_model import step_model
from opeddev_tui.training.trainer_arguments import Plan

_LOG = logging.getLogger(__name__)
W = TypeVar("W")


class Ended(Exception):
    """Rank 0 has no more for this hand to do."""


class Silent:
    """A sink for what only rank 0 tells."""

    def emit(self, event: Any) -> None:
        """Take an event, and tell nobody."""


def rows_digest(tokens: inputs.StepTokens) -> str:
    """Return what tells whether two ranks have read and encoded the same rows."""
    found = hashlib.sha256(tokens.train.digest.encode())
    for row in tokens.holdout.rows:
        found.update(repr((row.prompt, row.completion, row.weight)).encode())
    return found.hexdigest()


def fault_of(error: BaseException) -> Fault:
    """Return what rank 0 is told of ``error``."""
    if ran_out_of_memory(error):
        return Fault(NO_MEMORY, (str(error) or "no memory is left").splitlines()[0])
    if isinstance(error, Problem):
        return Fault(error.kind, error.message, error.where, error.cure)
    return Fault("training", f"{type(error).__name__}: {error}")


class Hand:
    """One hand for the time of one attempt."""

    def __init__(self, line: Line, place: group.Place, given: orders.Orders) -> None:
        self._line, self._place, self._orders = line, place, given
        self._settings = msgspec.convert(given.settings, st.Settings)
        self._precision = resolve_precision(self._settings.model.precision)
        self._trainer: hand_trainer.HandTrainer | None = None

    def prepare(self) -> Ready:
        """Read rows and model; return what rank 0 compares."""
        given, settings = self._orders, self._settings
        torch.set_num_threads(given.threads)
        loading.quiet_libraries()
        data = load_step(Path(given.root), settings, [batch.batch() for batch in given.batches])
        self._tokens = tokens = inputs.tokenize(given.source, settings, data)
        resume = Path(given.resume) if given.resume else None
        model = step_model(given.source, settings, resume, device=self._place.device)
        loaded = ModelInUse(model, tokens.tokenizer, tokens.encoder, self._precision)
        graded = graded_step(settings, data.examples, tokens.encoder, tokens.holdout) if given.grades else None
        self._tasks = hand_tasks.Tasks(
            settings, ModelRunner(settings, Silent(), loaded), tokens.holdout.rows, graded, self._place
        )
        self._model = model
        return Ready(rows_digest(tokens), fingerprint(model), device_name())

    def work(self) -> None:
        """Do what rank 0 says, until it says that there is no more."""
        try:
            join = self.until(Join)
            seconds = 60 * self._settings.training.rank_timeout_minutes + 60
            with group.joined(self._place, self._line.store, f"{self._line.name}/{join.group}", seconds=seconds):
                while True:
                    self.until(Train)
                    self._train()
        except Ended:
            return

    def until(self, wanted: type[W]) -> W:
        """Return the next word that is ``wanted``; do everything that is said before it."""
        while True:
            number, word = self._line.next(lambda: None)
            if isinstance(word, wanted):
                return word
            if isinstance(word, End):
                raise Ended
            self._exchange(word)
            self._line.post(f"answer/{number}/{self._place.rank}", self._answer(word))

    def _exchange(self, word: AnyWord) -> None:
        """Make the exchanges that ``word`` needs of a sharded model; rank 0 waits in them, so a failure is raised."""
        if not isinstance(word, Save):
            sharding.gather(self._model)
        elif self._trainer is not None:
            self._trainer.take_part_in_saving()

    def _answer(self, word: AnyWord) -> Answer:
        try:
            if isinstance(word, Save):
                assert self._trainer is not None
                self._trainer.save_random_state(Path(word.folder))
                return Answer(Found())
            return Answer(self._tasks.do(word))
        except Exception as error:  # noqa: BLE001 - rank 0 decides what it means
            _LOG.exception("rank 0 is told of this failure")
            return Answer(fault=fault_of(error))

    def _train(self) -> None:
        given, rows = self._orders, self._tokens.train.rows
        plan = Plan(
            output=Path(given.checkpoints),
            batch_size=given.batch_size,
            accumulation=given.accumulation,
            learning_rate=given.learning_rate,
            max_epochs=given.max_epochs,
            processes=given.processes,
        )
        callback = hand_trainer.HandCallback(self.until, plan.steps_per_epoch(len(rows)))
        parts = trainer.trainer_parts(self._model, self._tokens.tokenizer, rows, plan, self._settings, self._precision)
        self._trainer = hand_trainer.HandTrainer(hooks=hand_trainer.NoHooks(), callback=callback, **parts)
        self._trainer.train(resume_from_checkpoint=given.resume or None)


def serve(line: Line, place: group.Place, run_folder: Path, secret: str) -> None:
    """Be ``place`` in the attempt whose orders are in ``run_folder``; a failure is told to rank 0, then raised.

    Of one of an exchange only that it happened: another rank has gone, and rank 0 finds out which.
    """
    rank = place.rank
    line.post(f"hello/{rank}", orders.hello(rank, os.getpid()))
    life: Life | None = None
    try:
        given = orders.read(run_folder, secret)
        timeout = given.settings["training"]["rank_timeout_minutes"]
        # an exchange of NCCL waits for a rank that has gone: this one leaves it, and takes rank 0's next call
        life = Life(line, 60 * timeout + 30, broken=group.abort)
        life.begin()
        hand = Hand(line, place, given)
        try:
            ready = hand.prepare()
        except Exception as error:
            line.post(f"ready/{rank}", Ready(fault=fault_of(error)))
            raise
        line.post(f"ready/{rank}", ready)
        # not before: the model's loading chooses the GPU
        life.tell_load(lambda: Load(hardware.used_by(place.device)))
        hand.work()
    except Exception as error:
        with suppress(RuntimeError):  # the line has gone with rank 0
            if group.is_of_exchange(error):
                line.post(f"alone/{rank}", Alone())
            else:
                line.post(f"fault/{rank}", fault_of(error))
        raise
    finally:
        if life is not None:
            life.close()
