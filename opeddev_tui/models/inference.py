"""Try a model outside of a training: stream its answer to a prompt, score it on the hold-out."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.data.rows import Message
from opeddev_tui.errors import Problems
from opeddev_tui.models import loading, token_check
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.models.losses import example_losses
from opeddev_tui.models.precision import autocast, resolve_precision
from opeddev_tui.models.smaller_batches import in_batches_that_fit
from opeddev_tui.models.token_rows import LeftPadCollator
from opeddev_tui.workspace.paths import Workspace


class LoadedModel:
    """A model in memory. ``source`` is a checkpoint folder, a model folder or a hub name."""

    def __init__(self, source: str, settings: st.Settings) -> None:
        loading.quiet_libraries()
        self._settings = settings
        with folders.in_use(Path(source)):
            fitted = token_check.fit(source, settings)
            self._tokenizer, self._encoder = fitted.tokenizer, fitted.encoder
            self._model = loading.load_model(source, settings.model).eval()
        self._precision = resolve_precision(settings.model.precision)
        self.fingerprint = fingerprint(self._model)
        self.scored_on = ""

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device

    @property
    def _new_tokens(self) -> int:
        return self._settings.generation.max_new_tokens

    def stream(self, prompt: str, history: Sequence[Message] = ()) -> Iterator[str]:
        """Yield pieces of the answer to ``prompt`` as they are generated; the system prompt is the settings' own."""
        system = self._settings.grading.system_prompt
        messages = [Message("system", system)] if system else []
        return self.answer([*messages, *history, Message("user", prompt)])

    def answer(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield pieces of the answer to ``messages``, their system prompt included, as they are generated."""
        from transformers import TextIteratorStreamer

        # a terminal can hand over half of a surrogate pair, which no tokenizer takes
        whole = [replace(item, content=item.content.encode("utf-8", "replace").decode("utf-8")) for item in messages]
        ids = self._encoder.encode_question(whole, self._new_tokens)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        problems: list[BaseException] = []
        worker = threading.Thread(target=self._generate, args=(ids, streamer, problems), daemon=True)
        worker.start()
        yield from streamer
        worker.join()
        if problems:
            raise problems[0]

    def _generate(self, ids: list[int], streamer: Any, problems: list[BaseException]) -> None:
        inputs = torch.tensor([ids], device=self._device)
        try:
            with torch.no_grad(), autocast(self._precision, self._device):
                self._model.generate(
                    input_ids=inputs,
                    attention_mask=torch.ones_like(inputs),
                    max_new_tokens=self._encoder.room_after(len(ids), self._new_tokens),
                    eos_token_id=self._encoder.end_ids,
                    pad_token_id=self._tokenizer.pad_token_id,
                    streamer=streamer,
                    do_sample=False,
                )
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            problems.append(error)
        finally:
            streamer.end()

    def holdout_loss(self, workspace: Workspace) -> float:
        """Return the hold-out loss in nats a token; raises ``Problems`` if the hold-out is wrong.

        ``self.scored_on`` is the fingerprint of that hold-out from then on.
        """
        holdout = load_holdout(workspace.root, self._settings)
        if holdout.problems:
            raise Problems(holdout.problems)
        self.scored_on = holdout.version
        rows = self._encoder.encode_all(holdout.examples).rows
        collate = LeftPadCollator(self._tokenizer.pad_token_id, form=batch_form(self._model))
        with autocast(self._precision, self._device):
            sums, tokens = in_batches_that_fit(
                lambda batch: example_losses(self._model, rows, collate, batch_size=batch),
                self._settings.training.per_device_eval_batch_size,
            )
        return sum(sums) / max(1, sum(tokens))
