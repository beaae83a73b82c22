"""Read a model's hidden states, completion losses and grade-token probabilities in one forward pass per row.

The features of a row are, for each of five depths, the maximum of the hidden states over the submission's tokens.
The only module of this room that uses torch, and it loads it when a model is read. Precision (autocast) and the
random state are the caller's.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.errors import ModelProblem
from opeddev_tui.grading.feature_cache import FeatureCache
from opeddev_tui.grading.grade_tokens import GradeTokens
from opeddev_tui.grading.spans import GradeRow

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
DEPTHS = (0.2, 0.3, 0.4, 0.5, 0.6)
# rows between two files of the cache: what an interrupted extraction loses at most
_SAVED_TOGETHER = 64


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
    """The deepest layer asked for has been read: ends a forward pass whose later layers nobody needs."""


def layers_of(model: Any) -> list[int]:
    """Return the numbers of layers after which states are read: 20 to 60 % of the depth, each once, at least 1."""
    depth = len(_decoder_layers(model))
    return sorted({max(1, round(share * depth)) for share in DEPTHS})


@contextlib.contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Run the block on the base weights where ``model`` has LoRA adapters; nothing for any other model."""
    switch = getattr(model, "disable_adapter", None)
    with switch() if callable(switch) else contextlib.nullcontext():
        yield


def read_rows(
    model: Any,
    rows: Sequence[GradeRow],
    *,
    pad_id: int,
    batch_size: int,
    loss: bool = False,
    grade_tokens: GradeTokens | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Readings:
    """Return features of ``rows``, and from the same pass losses and grade-token probabilities where asked for.

    Rows of like length go together, padded on the left. Without ``loss`` and ``grade_tokens`` the pass ends at the
    deepest layer that is read. ``on_batch(done, total)`` is told after each batch.
    """
    reader = _Reader(model, pad_id, loss=loss, grade_tokens=grade_tokens)
    order = sorted(range(len(rows)), key=lambda index: rows[index].length, reverse=True)
    states: list[Floats | None] = [None] * len(rows)
    sums, tokens = [0.0] * len(rows), [0] * len(rows)
    grades: dict[int, NDArray[np.float64]] = {}
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = reader.read([rows[index] for index in chosen])
            for place, index in enumerate(chosen):
                states[index] = batch.states[place]
                if loss:
                    sums[index], tokens[index] = batch.sums[place], batch.tokens[place]
                if batch.grade_probabilities is not None:
                    grades[index] = batch.grade_probabilities[place]
            if on_batch is not None:
                on_batch(min(start + batch_size, len(order)), len(order))
    finally:
        model.train(was_training)
    return Readings(
        _finite([state for state in states if state is not None]),
        sums if loss else [],
        tokens if loss else [],
        np.stack([grades[index] for index in range(len(rows))]) if grades else None,
    )


def base_features(
    model: Any,
    rows: Sequence[GradeRow],
    *,
    pad_id: int,
    batch_size: int,
    cache: FeatureCache,
    on_batch: Callable[[int, int], None] | None = None,
) -> Floats:
    """Return the features [n, layers · width] of ``rows`` on the base model, reading only those not yet in ``cache``.

    Adapters are switched off. The caller vouches that the weights are those that the cache names. ``on_batch(done,
    total)`` counts the rows that are read, and is never called where all are known.
    """
    keys = [row.key for row in rows]
    known = cache.load(keys)
    missing = list({key: row for key, row in zip(keys, rows, strict=True) if key not in known}.items())
    for start in range(0, len(missing), _SAVED_TOGETHER):
        part = missing[start : start + _SAVED_TOGETHER]
        with adapters_off(model):
            found = read_rows(
                *(model, [row for _, row in part]),
                pad_id=pad_id,
                batch_size=batch_size,
                on_batch=_counted_on(on_batch, start, len(missing)),
            ).states
        new = {key: found[place] for place, (key, _) in enumerate(part)}
        cache.add(new)
        known.update(new)
    return np.stack([known[key] for key in keys]) if keys else np.zeros((0, 0), np.float32)


def _counted_on(on_batch: Callable[[int, int], None] | None, before: int, total: int) -> Callable[[int, int], None]:
    def told(done: int, _part: int) -> None:
        if on_batch is not None:
            on_batch(before + done, total)

    return told


def _finite(states: Sequence[Floats]) -> Floats:
    found = np.stack(states) if states else np.zeros((0, 0), np.float32)
    if not np.isfinite(found).all():
        raise ModelProblem(
            "the model's hidden states are not finite, so no grade can be read from them.",
            where="model.precision",
            cure="Set model.precision to bf16 or fp32; if that does not help, the weights are broken.",
        )
    return found


def _decoder_layers(model: Any) -> torch.nn.ModuleList:
    """Return the model's decoder layers, whatever the architecture calls them."""
    from torch.nn import ModuleList

    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    depth = config.num_hidden_layers
    for _, module in model.named_modules():
        if isinstance(module, ModuleList) and len(module) == depth:
            return module
    raise ModelProblem(
        f"no list of {depth} decoder layers is found in {type(model).__name__}, so its states cannot be read.",
        where="model.name",
        cure="Choose another model, or rows without grades.",
    )


class _Reader:
    """Reads one batch at a time: hooks keep the pooled states, so that no layer's whole output is held."""

    def __init__(self, model: Any, pad_id: int, *, loss: bool, grade_tokens: GradeTokens | None) -> None:
        from opeddev_tui.models.token_rows import LeftPadCollator

        self._model = model
        self._pad_id = pad_id
        self._collate = LeftPadCollator(pad_id)
        self._loss = loss
        self._grade_tokens = grade_tokens
        self._layers = layers_of(model)
        self._modules = _decoder_layers(model)

    def read(self, rows: Sequence[GradeRow]) -> Readings:
        """Return the readings of one batch."""
        import torch

        wants_logits = self._loss or self._grade_tokens is not None
        with torch.no_grad():
            batch, labels = self._batch(rows)
            spans = _columns(rows, batch["input_ids"].shape[1])
            pooled: dict[int, Floats] = {}
            with self._hooked(spans, pooled, stop=not wants_logits):
                logits = self._logits(batch)
            states = np.concatenate([pooled[layer] for layer in self._layers], axis=1)
            sums, tokens = _losses(logits, labels) if self._loss else ([], [])
            grades = self._grades(rows, logits) if self._grade_tokens is not None else None
        return Readings(states, sums, tokens, grades)

    def _batch(self, rows: Sequence[GradeRow]) -> tuple[dict[str, Any], torch.Tensor]:
        from opeddev_tui.models.token_rows import TokenRow

        device = next(self._model.parameters()).device
        batch = self._collate([TokenRow(0, row.prompt, row.completion) for row in rows])
        labels = batch.pop("labels").to(device)
        moved = {key: value.to(device) if hasattr(value, "to") else value for key, value in batch.items()}
        return {key: value for key, value in moved.items() if key not in ("rows", "weights")}, labels

    def _logits(self, batch: dict[str, Any]) -> torch.Tensor | None:
        try:
            return self._model(**batch, use_cache=False).logits.float()  # type: ignore[no-any-return]
        except _DeepEnough:
            return None

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

    def _grades(self, rows: Sequence[GradeRow], logits: torch.Tensor | None) -> NDArray[np.float64]:
        import torch

        tokens = self._grade_tokens
        assert tokens is not None
        here = len(tokens.stem)
        if logits is None or tokens.branches or not all(tokens.begins(row.completion) for row in rows):
            return _grades_by_branches(self._model, rows, tokens, self._pad_id)
        # the completion's token number ``here`` is predicted one column before its own
        places = [logits.shape[1] - len(row.completion) + here - 1 for row in rows]
        root = torch.stack([logits[index, place] for index, place in enumerate(places)]).log_softmax(-1)
        return tokens.normalised({(): root.double().cpu().numpy()})


def _columns(rows: Sequence[GradeRow], width: int) -> list[tuple[int, int]]:
    """Return the columns of each row's span in a batch that is padded on the left."""
    shifts = [width - row.length for row in rows]
    return [(shift + row.span[0], shift + row.span[1]) for shift, row in zip(shifts, rows, strict=True)]


def _losses(logits: torch.Tensor | None, labels: torch.Tensor) -> tuple[list[float], list[int]]:
    from torch.nn.functional import cross_entropy

    from opeddev_tui.models.token_rows import IGNORED

    assert logits is not None
    targets = labels[:, 1:]
    losses = cross_entropy(logits[:, :-1].transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return losses.double().sum(1).tolist(), (targets != IGNORED).sum(1).tolist()


def _grades_by_branches(model: Any, rows: Sequence[GradeRow], tokens: GradeTokens, pad_id: int) -> NDArray[np.float64]:
    """Return grade probabilities by a pass over prompt and stem, and a short one per branch that begins grades.

    Needed where grades have several tokens (half grades, 10) or the reference does not begin with the stem.
    """
    import torch

    from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow

    device = next(model.parameters()).device
    batch = LeftPadCollator(pad_id)([TokenRow(0, row.prompt + list(tokens.stem), []) for row in rows])
    names = ("input_ids", "attention_mask", "position_ids")
    ids, mask, places = (batch[name].to(device) for name in names)
    out = model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=True, logits_to_keep=1)
    found: dict[tuple[int, ...], NDArray[np.float64]] = {
        (): out.logits[:, -1].float().log_softmax(-1).double().cpu().numpy()
    }
    for branch in tokens.branches:
        added = torch.tensor([list(branch)] * len(rows), device=device)
        longer = torch.cat([mask, torch.ones_like(added)], 1)
        after = places[:, -1:] + torch.arange(1, len(branch) + 1, device=device)
        step = model(
            input_ids=added,
            attention_mask=longer,
            position_ids=after,
            past_key_values=copy.deepcopy(out.past_key_values),
            use_cache=True,
        )
        logs = step.logits.float().log_softmax(-1).double().cpu().numpy()
        found.update({branch[: depth + 1]: logs[:, depth] for depth in range(len(branch))})
    return tokens.normalised(found)
