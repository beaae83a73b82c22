"""Owns trying a model outside of a training: answering a prompt as a stream, scoring it on the hold-out."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from opeddev_tui import models
from opeddev_tui import settings as st
from opeddev_tui.batches import load_holdout
from opeddev_tui.chat import ChatEncoder, LeftPadCollator
from opeddev_tui.errors import Problems
from opeddev_tui.evaluation import example_losses
from opeddev_tui.fingerprint import fingerprint
from opeddev_tui.precision import autocast, resolve_precision
from opeddev_tui.rows import Message
from opeddev_tui.workspace import Workspace


class Tryout:
    """A model in memory. ``source`` is a checkpoint folder, a model folder or a hub name."""

    def __init__(self, source: str, settings: st.Settings) -> None:
        models.quiet_libraries()
        self._settings = settings
        self._tokenizer = models.load_tokenizer(source, settings.model)
        self._model = models.load_model(source, settings.model).eval()
        self._precision = resolve_precision(settings.model.precision)
        self._encoder = ChatEncoder(
            self._tokenizer,
            max_length=settings.data.max_length,
            min_prompt_tokens=settings.data.min_prompt_tokens,
            thinking=settings.generation.enable_thinking,
        )
        self.fingerprint = fingerprint(self._model)

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device

    def stream(self, prompt: str, history: Sequence[Message] = ()) -> Iterator[str]:
        """Yield pieces of the answer to ``prompt`` as they are generated; the system prompt is the settings' own."""
        from transformers import TextIteratorStreamer

        system = self._settings.grading.system_prompt
        messages = [Message("system", system)] if system else []
        ids = self._encoder.encode_prompt([*messages, *history, Message("user", prompt)])
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
                    max_new_tokens=self._settings.generation.max_new_tokens,
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
        """Return the hold-out loss in nats a token; raises ``Problems`` if the hold-out is wrong."""
        holdout = load_holdout(workspace.root, self._settings)
        if holdout.problems:
            raise Problems(holdout.problems)
        rows = self._encoder.encode_all(holdout.examples).rows
        with autocast(self._precision, self._device):
            sums, tokens = example_losses(
                self._model,
                rows,
                LeftPadCollator(self._tokenizer.pad_token_id),
                batch_size=self._settings.training.per_device_eval_batch_size,
            )
        return sum(sums) / max(1, sum(tokens))
