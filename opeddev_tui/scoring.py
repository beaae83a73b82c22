"""Owns what a model is asked during a run: hold-out losses, grades of the whole hold-out, the probe prompts.

Everything runs in the training's precision, without touching the random state, with smaller batches after a lack
of memory, and ends as an event.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from msgspec import Struct

from opeddev_tui import evaluation, generation, memory
from opeddev_tui import events as ev
from opeddev_tui import settings as st
from opeddev_tui.agreement import agreement, classifier_exact
from opeddev_tui.bus import Bus
from opeddev_tui.causal_lm import CausalLM, Tokenizer
from opeddev_tui.chat import ChatEncoder, LeftPadCollator, TokenRow
from opeddev_tui.fingerprint import fingerprint
from opeddev_tui.precision import Precision, autocast
from opeddev_tui.rows import Example, parse_grade

# how often a long scoring says how far it is: silence would be taken for a stall
PULSE_SECONDS = 10.0


class Holdout(Struct, frozen=True):
    """The fixed validation set: examples, their tokens, and which of them are the probe prompts.

    ``own`` are prompts of the person, generated beside the probe prompts.
    """

    examples: list[Example]
    rows: list[TokenRow]
    probes: list[int]
    own: Sequence[Example] = ()


class Loaded(Struct, frozen=True):
    """A model in memory with all that belongs to it."""

    model: CausalLM
    tokenizer: Tokenizer
    encoder: ChatEncoder
    precision: Precision

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(self.model.parameters()).device


class Scorer:
    """Scores one model on one hold-out and tells ``bus``."""

    def __init__(
        self,
        settings: st.Settings,
        bus: Bus,
        loaded: Loaded,
        holdout: Holdout,
        train_texts: Callable[[], tuple[list[str], list[int]]],
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._loaded = loaded
        self._holdout = holdout
        self._train_texts = train_texts
        self._eval_batch = settings.training.per_device_eval_batch_size

    def score(self, epoch: int) -> ev.HoldoutEvaluated:
        """Return the hold-out losses after ``epoch``; recording them is the caller's."""
        self._tell("evaluating", f"{len(self._holdout.rows)} hold-out rows")
        collate = LeftPadCollator(self._loaded.tokenizer.pad_token_id)
        pulse = self._now_and_then("evaluating", "hold-out rows")
        began = time.perf_counter()
        sums, tokens = self._within_memory(
            lambda batch: evaluation.example_losses(
                self._loaded.model, self._holdout.rows, collate, batch_size=batch, on_batch=pulse
            )
        )
        return ev.HoldoutEvaluated(
            epoch=epoch,
            loss=sum(sums) / max(1, sum(tokens)),
            sums=tuple(sums),
            tokens=tuple(tokens),
            seconds=time.perf_counter() - began,
        )

    def _within_memory(self, work: Callable[[int], Any]) -> Any:
        """Run ``work(batch size)`` in the training's precision, with half the batch after each lack of memory."""
        while True:
            try:
                with autocast(self._loaded.precision, self._loaded.device):
                    return work(self._eval_batch)
            except torch.OutOfMemoryError:
                if self._eval_batch == 1:
                    raise
                self._eval_batch = max(1, self._eval_batch // 2)
                torch.cuda.empty_cache()
                self._bus.emit(
                    ev.Warned(message=f"out of memory on the hold-out: batch {self._eval_batch} from now on")
                )

    def graded(self) -> bool:
        """True when every hold-out row has a grade to compare with."""
        return bool(self._holdout.examples) and all(example.grade is not None for example in self._holdout.examples)

    def _texts(
        self,
        examples: Sequence[Example],
        max_new_tokens: int,
        *,
        on_batch: Callable[[int, int], None] | None = None,
        on_tokens: Callable[[list[list[int]], int], None] | None = None,
    ) -> list[str]:
        prompts = [self._loaded.encoder.encode_prompt(example.prompt) for example in examples]
        room = self._settings.data.max_length
        ids = self._within_memory(
            lambda batch: generation.generate(
                self._loaded.model,
                self._loaded.encoder,
                [prompt[-room:] for prompt in prompts],
                pad_id=self._loaded.tokenizer.pad_token_id,
                max_new_tokens=max_new_tokens,
                batch_size=memory.generation_batch(self._settings, batch),
                sampling=self._settings.generation,
                on_batch=on_batch,
                on_tokens=on_tokens,
            )
        )
        return [self._loaded.encoder.decode(item) for item in ids]

    def grades(self, epoch: int) -> ev.GradesMeasured:
        """Generate a grade for every hold-out row and compare; recording it is the caller's."""
        grading = self._settings.grading
        self._tell("generating", f"grades of {len(self._holdout.examples)} hold-out rows")
        pulse = self._now_and_then("generating", "grades of hold-out rows")
        began = time.perf_counter()
        predicted = [
            parse_grade(text, self._settings.grading)
            for text in self._texts(
                self._holdout.examples,
                grading.max_new_tokens,
                on_batch=pulse,
                on_tokens=lambda texts, finished: pulse(finished, len(texts)),
            )
        ]
        reference = [example.grade for example in self._holdout.examples if example.grade is not None]
        result = agreement(
            predicted,
            reference,
            range(grading.minimum, grading.maximum + 1),
            confidence=self._settings.early_stop.confidence,
        )
        return ev.GradesMeasured(
            epoch=epoch,
            predicted=tuple(predicted),
            reference=tuple(reference),
            parsed=result.parsed,
            exact=result.exact,
            within_one=result.within_one,
            mean_absolute_error=result.mean_absolute_error,
            kappa=result.kappa,
            kappa_interval=result.kappa_interval,
            majority_exact=result.majority_exact,
            middle_within_one=result.middle_within_one,
            classifier_exact=self._classifier(),
            seconds=time.perf_counter() - began,
            ids=tuple(example.id for example in self._holdout.examples if example.grade is not None),
        )

    def _classifier(self) -> float | None:
        """Return the text classifier's accuracy; it does not change within a step, so it is computed once."""
        known = next(iter(self._bus.state.grades.values()), None)
        if known is not None:
            return known.classifier_exact
        texts, grades = self._train_texts()
        reference = [example.grade for example in self._holdout.examples if example.grade is not None]
        return classifier_exact(texts, grades, [example.submission for example in self._holdout.examples], reference)

    def sample(self, epoch: float, global_step: int, *, on_demand: bool = False) -> None:
        """Generate the probe prompts and record them with the weights' fingerprint."""
        examples = [*(self._holdout.examples[index] for index in self._holdout.probes), *self._holdout.own]
        if not examples:
            return
        self._tell("generating", f"{len(examples)} probe prompts")
        began = time.perf_counter()
        texts = self._texts(
            examples,
            self._settings.generation.max_new_tokens,
            on_tokens=lambda ids, finished: self._stream(examples, ids, finished, epoch, global_step),
        )
        samples = tuple(
            ev.Sample(
                prompt=_asked(example),
                reference=example.completion,
                text=text,
                id=example.id,
                kind=example.kind,
                grade=parse_grade(text, self._settings.grading),
                reference_grade=example.grade,
                own=any(example is mine for mine in self._holdout.own),
            )
            for example, text in zip(examples, texts, strict=True)
        )
        self._bus.emit(
            ev.SamplesGenerated(
                epoch=epoch,
                global_step=global_step,
                fingerprint=fingerprint(self._loaded.model),
                samples=samples,
                seconds=time.perf_counter() - began,
                on_demand=on_demand,
            )
        )

    def _stream(
        self, examples: Sequence[Example], ids: list[list[int]], finished: int, epoch: float, global_step: int
    ) -> None:
        """Show the texts as they grow: some words on the screen, none in the journal."""
        self._bus.show_only(
            ev.SamplesStreaming(
                epoch=epoch,
                global_step=global_step,
                prompts=tuple(_asked(example) for example in examples),
                texts=tuple(self._loaded.encoder.decode(item) for item in ids),
                finished=finished,
            )
        )

    def _now_and_then(self, phase: str, words: str) -> Callable[[int, int], None]:
        """Return what tells "so many of so many ``words``", at most every ``PULSE_SECONDS``."""
        told_at = time.monotonic()

        def pulse(done: int, total: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= PULSE_SECONDS:
                told_at = time.monotonic()
                self._tell(phase, f"{done} of {total} {words}")

        return pulse

    def _tell(self, phase: str, detail: str) -> None:
        self._bus.emit(ev.PhaseChanged(phase=phase, detail=detail))


def _asked(example: Example) -> str:
    return example.prompt[-1].content if example.prompt else ""
