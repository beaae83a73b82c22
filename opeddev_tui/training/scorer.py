"""Score the hold-out, measure grades and generate the probe prompts during training.

Everything runs in the training's precision, with smaller batches after out-of-memory. Must not change the random
state: a run that is scored trains the same weights as one that is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.grading.reader import WrittenGrades
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.models.token_rows import TokenRow
from opeddev_tui.ranks.team import Team
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training import shares
from opeddev_tui.training.model_in_use import ModelInUse, ModelRunner

if TYPE_CHECKING:
    from opeddev_tui.training.step_grades import StepGrades


class Holdout(Struct, frozen=True):
    """The hold-out rows that fit data.max_length: ``rows[i]`` are the tokens of ``examples[i]``.

    ``probes`` are the positions of the probe prompts; ``own`` are a person's prompts, generated beside them.
    """

    examples: list[Example]
    rows: list[TokenRow]
    probes: list[int]
    own: Sequence[Example] = ()


class Scorer:
    """Scores one model on one hold-out; progress goes to ``bus``.

    With ``step_grades`` the pass that gives the loss also reads grades.
    """

    def __init__(
        self,
        settings: st.Settings,
        bus: Bus,
        loaded: ModelInUse,
        holdout: Holdout,
        team: Team | None = None,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._loaded = loaded
        self.holdout = holdout
        self.runner = ModelRunner(settings, bus, loaded, team)
        self.step_grades: StepGrades | None = None

    def score(self, epoch: int) -> ev.HoldoutEvaluated:
        """Return the hold-out loss after ``epoch`` in nats per token, and each row's sum; the caller records it."""
        self.runner.phase("evaluating", f"{len(self.holdout.rows)} hold-out rows")
        pulse = self.runner.pulse("evaluating", "hold-out rows")
        began = time.perf_counter()
        found = self.step_grades.losses(epoch, pulse) if self.step_grades is not None else None
        sums, tokens = found or shares.losses(self.runner, self.holdout.rows, pulse)
        return ev.HoldoutEvaluated(
            epoch=epoch,
            loss=sum(sums) / max(1, sum(tokens)),
            sums=tuple(sums),
            tokens=tuple(tokens),
            seconds=time.perf_counter() - began,
        )

    def prompts(self, examples: Sequence[Example], max_new_tokens: int) -> list[list[int]]:
        """Return the prompt ids of ``examples``: those of the hold-out's rows, and of own prompts cut the same way."""
        known = {id(example): row.prompt for example, row in zip(self.holdout.examples, self.holdout.rows, strict=True)}
        encode = self._loaded.encoder.encode_question
        return [
            known[id(example)] if id(example) in known else encode(example.prompt, max_new_tokens)
            for example in examples
        ]

    def _texts(
        self,
        examples: Sequence[Example],
        max_new_tokens: int,
        *,
        on_batch: OnBatch | None = None,
        on_tokens: Callable[[list[list[int]], int], None] | None = None,
    ) -> list[str]:
        prompts = self.prompts(examples, max_new_tokens)
        ids = shares.texts(
            *(self.runner, self._settings, prompts, max_new_tokens), on_batch=on_batch, on_tokens=on_tokens
        )
        return [self._loaded.encoder.decode(item) for item in ids]

    def written_grades(self, examples: Sequence[Example], raise_if_stopped: Callable[[], None]) -> WrittenGrades:
        """Generate a grade for each of the hold-out's ``examples``; raises what ``raise_if_stopped`` raises."""
        unit = "grades of hold-out rows"
        self.runner.phase("generating", f"{len(examples)} {unit}")
        pulse = self.runner.pulse("generating", unit)

        def on_tokens(texts: list[list[int]], finished: int) -> None:
            raise_if_stopped()
            pulse(finished, len(texts))

        began = time.perf_counter()
        texts = self._texts(examples, self._settings.grading.max_new_tokens, on_batch=pulse, on_tokens=on_tokens)
        grades = tuple(parse_grade(text, self._settings.grading) for text in texts)
        return WrittenGrades(grades, time.perf_counter() - began)

    def sample(self, epoch: float, global_step: int, *, on_demand: bool = False) -> None:
        """Generate texts for the probe prompts and record them with the weights' fingerprint."""
        examples = [*(self.holdout.examples[index] for index in self.holdout.probes), *self.holdout.own]
        if not examples:
            return
        self.runner.phase("generating", f"{len(examples)} probe prompts")
        began = time.perf_counter()
        prompts = tuple(example.prompt[-1].content if example.prompt else "" for example in examples)
        texts = self._texts(
            examples,
            self._settings.generation.max_new_tokens,
            on_tokens=lambda ids, finished: self._bus.show_only(
                # shown as they grow, not recorded
                ev.SamplesStreaming(
                    epoch=epoch,
                    global_step=global_step,
                    prompts=prompts,
                    texts=tuple(self._loaded.encoder.decode(item) for item in ids),
                    finished=finished,
                )
            ),
        )
        samples = tuple(map(self._sample, range(len(texts)), prompts, examples, texts))
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

    def _sample(self, number: int, prompt: str, example: Example, text: str) -> ev.Sample:
        return ev.Sample(
            prompt=prompt,
            reference=example.completion,
            text=text,
            id=example.id,
            kind=example.kind,
            grade=parse_grade(text, self._settings.grading),
            reference_grade=example.grade,
            own=number >= len(self.holdout.probes),
        )
