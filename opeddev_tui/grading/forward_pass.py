"""One forward pass over a batch: states pooled over the submissions, completion losses, grade-token probabilities.

Takes a batch as the model does (``models.architectures.batch_form``); the output layer runs on the completions' columns
alone where the model allows. Loads torch when a batch is read. Must not keep whole layers, nor any row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.errors import ModelProblem
from opeddev_tui.grading.grade_tokens import GradeTokens
from opeddev_tui.grading.spans import GradeRow

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
DEPTHS = (0.2, 0.3, 0.4, 0.5, 0.6)


class Readings(Struct, frozen=True):
    """What one pass over n rows found, in their order.

    ``states`` [n, layers · width]; ``sums`` completion losses in nats and ``tokens`` their counts, empty where no loss
    was asked for; ``grade_probabilities`` [n, grades], None where they were not asked for.
    """

    states: Floats
    sums: list[float]
    tokens: list[int]
    grade_probabilities: NDArray[np.float64] | None = None


class _DeepEnough(Exception):
    """Ends a forward pass early: the deepest layer that is asked for has been read."""


def layers_of(model: Any) -> list[int]:
    """Return the numbers of layers after which states are read: 20 to 60% of the depth, each once, at least 1."""
    depth = len(_decoder_layers(model))
    return sorted({max(1, round(share * depth)) for share in DEPTHS})


def _decoder_layers(model: Any) -> torch.nn.ModuleList:
    """Return the model's decoder layers; raises ``ModelProblem`` where they are not found."""
    from opeddev_tui.models.architectures import decoder_depth, decoder_layers

    found: torch.nn.ModuleList | None = decoder_layers(model)
    if found is None:
        raise ModelProblem(
            f"no list of {decoder_depth(model)} decoder layers is found in {type(model).__name__}, so its states "
            "cannot be read.",
            where="model.name",
            cure="Choose another model, or rows without grades.",
        )
    return found


class BatchReader:
    """Reads one batch at a time: hooks keep the pooled states, so that no layer's whole output is held."""

    def __init__(self, model: Any, pad_id: int, *, loss: bool, grade_tokens: GradeTokens | None) -> None:
        from opeddev_tui.models.architectures import batch_form
        from opeddev_tui.models.token_rows import LeftPadCollator

        self._model = model
        self._form = batch_form(model)
        self._collate = LeftPadCollator(pad_id, form=self._form)
        self._loss = loss
        self._grade_tokens = grade_tokens
        self._layers = layers_of(model)
        self._modules = _decoder_layers(model)

    def read(self, rows: Sequence[GradeRow]) -> Readings:
        """Return the readings of one batch."""
        import torch

        from opeddev_tui.models.token_rows import summed_losses

        wants_logits = self._loss or self._grade_tokens is not None
        with torch.no_grad():
            batch, labels = self._batch(rows)
            pooled: dict[int, Floats] = {}
            with self._hooked(self._columns(rows, batch["input_ids"].shape[1]), pooled, stop=not wants_logits):
                output = self._run(batch, cached=self._continues(rows))
            states = np.concatenate([pooled[layer] for layer in self._layers], axis=1)
            sums, tokens = summed_losses(output.logits, labels) if self._loss else ([], [])
            grades = self._grades(rows, batch, output) if self._grade_tokens is not None else None
        return Readings(states, sums, tokens, grades)

    def _batch(self, rows: Sequence[GradeRow]) -> tuple[dict[str, Any], torch.Tensor]:
        from opeddev_tui.models.token_rows import TokenRow

        device = next(self._model.parameters()).device
        batch = self._collate([TokenRow(0, row.prompt, row.completion) for row in rows])
        labels = batch.pop("labels").to(device)
        return {key: value.to(device) if hasattr(value, "to") else value for key, value in batch.items()}, labels

    def _run(self, batch: dict[str, Any], *, cached: bool) -> Any:
        try:
            return self._model(**batch, use_cache=cached)
        except _DeepEnough:
            return None

    def _columns(self, rows: Sequence[GradeRow], width: int) -> list[tuple[int, int]]:
        """Return the columns of each row's span in the batch."""
        shifts = [width - row.length if self._form.left else 0 for row in rows]
        return [(shift + row.span[0], shift + row.span[1]) for shift, row in zip(shifts, rows, strict=True)]

    @contextlib.contextmanager
    def _hooked(self, spans: Sequence[tuple[int, int]], pooled: dict[int, Floats], *, stop: bool) -> Iterator[None]:
        def hook(layer: int) -> Callable[[Any, Any, Any], None]:
            def keep(_module: Any, _inputs: Any, output: Any) -> None:
                states = output[0] if isinstance(output, tuple) else output
                most = [states[place, start:end].amax(0) for place, (start, end) in enumerate(spans)]
                pooled[layer] = np.stack([item.float().cpu().numpy() for item in most])
                if stop and layer == self._layers[-1]:
                    raise _DeepEnough

            return keep

        handles = [self._modules[layer - 1].register_forward_hook(hook(layer)) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    # --- grade tokens

    def _continues(self, rows: Sequence[GradeRow]) -> bool:
        """True where grades are to be read by going on after the prompts: the completions do not tell them all."""
        tokens = self._grade_tokens
        return tokens is not None and not (not tokens.branches and all(tokens.begins(row.completion) for row in rows))

    def _grades(self, rows: Sequence[GradeRow], batch: dict[str, Any], output: Any) -> NDArray[np.float64]:
        import torch

        tokens = self._grade_tokens
        assert tokens is not None
        if not self._continues(rows):
            # the completion's token number ``len(stem)`` is predicted one column before its own
            places = self._prompt_ends(rows, output.logits.shape[1])
            here = [output.logits[row, place + len(tokens.stem)] for row, place in enumerate(places)]
            return tokens.normalised({(): _logs(torch.stack(here))})
        found: dict[tuple[int, ...], NDArray[np.float64]] = {}
        plain = self._form.left and self._form.positions and _keeps_all(getattr(output, "past_key_values", None))
        for branch in tokens.branches or ((),):
            added = [*tokens.stem, *branch]
            logits = self._after_prompts(rows, batch, output, added) if plain else self._whole_passes(rows, added)
            for depth in range(len(branch) + 1):
                found[branch[:depth]] = _logs(logits[:, len(tokens.stem) + depth])
        return tokens.normalised(found)

    def _prompt_ends(self, rows: Sequence[GradeRow], kept: int) -> list[int]:
        """Return the column of each prompt's last token among the last ``kept`` columns of the batch."""
        if self._form.left:
            return [kept - len(row.completion) - 1 for row in rows]
        return [len(row.prompt) - 1 for row in rows]

    def _after_prompts(
        self, rows: Sequence[GradeRow], batch: dict[str, Any], output: Any, added: Sequence[int]
    ) -> torch.Tensor:
        """Return logits [rows, 1 + added, vocabulary] from each prompt's last token on, were ``added`` to follow.

        What the pass has cached of the completions is masked, and the cache is left as it was.
        """
        import torch

        width, device = batch["input_ids"].shape[1], batch["input_ids"].device
        ends = self._prompt_ends(rows, output.logits.shape[1])
        last = torch.stack([output.logits[row, place] for row, place in enumerate(ends)])[:, None]
        if not added:
            return last
        ids = torch.tensor([list(added)] * len(rows), device=device)
        mask = batch["attention_mask"].clone()
        for row, item in enumerate(rows):
            mask[row, width - len(item.completion) :] = 0
        begins = torch.tensor([[len(row.prompt)] for row in rows], device=device)
        after = self._model(
            input_ids=ids,
            attention_mask=torch.cat([mask, torch.ones_like(ids)], 1),
            position_ids=begins + torch.arange(len(added), device=device),
            past_key_values=output.past_key_values,
            use_cache=True,
        )
        output.past_key_values.crop(-len(added))
        return torch.cat([last, after.logits], 1)

    def _whole_passes(self, rows: Sequence[GradeRow], added: Sequence[int]) -> torch.Tensor:
        """Return what ``_after_prompts`` does, by a pass of its own: for models whose cache cannot leave tokens out."""
        import torch

        changed = [GradeRow(row.prompt, list(added), row.span) for row in rows]
        logits = self._model(**self._batch(changed)[0], use_cache=False).logits
        ends = self._prompt_ends(changed, logits.shape[1])
        return torch.stack([logits[row, place : place + 1 + len(added)] for row, place in enumerate(ends)])


def _keeps_all(cache: Any) -> bool:
    """True for a cache that holds every token in its own column: no sliding window, no running state."""
    layers = getattr(cache, "layers", ())
    return len(layers) > 0 and all(type(layer).__name__ == "DynamicLayer" for layer in layers)


def _logs(logits: torch.Tensor) -> NDArray[np.float64]:
    return logits.float().log_softmax(-1).double().cpu().numpy()
