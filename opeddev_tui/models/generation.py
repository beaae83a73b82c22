"""Choose the probe prompts, and generate texts for prompts in batches.

Greedy by default, with the chat template and thinking mode of training. The global random state is left as it
was found, so that looking at a training does not change it.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example
from opeddev_tui.models import sharding
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.reading_batches import OnBatch, evaluating

# seconds between two looks at texts that are being generated
TELL_EVERY = 0.3


def choose_probes(holdout: Sequence[Example], count: int, seed: int, pinned: Sequence[int] = ()) -> list[int]:
    """Return indices of ``count`` hold-out examples, fixed by ``seed``, spread over grades and kinds.

    The ``pinned`` ones come first and are always there, also where they are more than ``count``.
    """
    first = list(dict.fromkeys(pinned))
    shuffled = [index for index in range(len(holdout)) if index not in first]
    random.Random(seed).shuffle(shuffled)
    groups: dict[tuple[Any, str], list[int]] = {}
    for index in shuffled:
        example = holdout[index]
        groups.setdefault((example.grade if example.grade is not None else -1, example.kind), []).append(index)
    # one after another from every grade, changing the kind each time round
    by_grade: dict[Any, list[list[int]]] = {}
    for (grade, _), members in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1])):
        by_grade.setdefault(grade, []).append(members)
    chosen = first
    turn = 0
    while len(chosen) < min(count, len(holdout)):
        for place, kinds in enumerate(by_grade.values()):
            ready = [members for members in kinds if members]
            if ready and len(chosen) < count:
                chosen.append(ready[(turn + place) % len(ready)].pop())
        turn += 1
    return chosen


@torch.no_grad()
def generate(
    model: CausalLM,
    encoder: ChatEncoder,
    prompts: Sequence[list[int]],
    *,
    pad_id: int,
    max_new_tokens: int,
    batch_size: int,
    sampling: st.Generation | None = None,
    on_batch: OnBatch | None = None,
    on_tokens: Callable[[list[list[int]], int], None] | None = None,
    ended: Callable[[int, list[int]], bool] | None = None,
) -> list[list[int]]:
    """Return the new token ids for each prompt (ids), without the ids that end a text.

    Prompts of similar length are generated together, padded on the left. With ``sampling`` and its ``do_sample`` the
    tokens are drawn, otherwise the likeliest is taken. ``on_tokens(texts so far, how many are finished)`` is told
    while they grow, a few times a second. ``ended(prompt, its new ids)`` says after each token whether a text is long
    enough.
    """
    device = next(model.parameters()).device
    texts: list[list[int]] = [[] for _ in prompts]
    done = 0
    with evaluating(model):
        for chosen in prompt_batches(model, encoder, prompts, batch_size, max_new_tokens):
            ids, mask = _left_padded([prompts[index] for index in chosen], pad_id, device)
            ends = _Ends(chosen, ids.shape[1], ended) if ended is not None else None
            output = _generated(
                *(model, encoder, ids, mask),
                max_new_tokens=max_new_tokens,
                pad_token_id=pad_id,
                streamer=_Watcher(texts, chosen, encoder.end_ids, done, on_tokens) if on_tokens else None,
                stopping_criteria=[ends] if ends is not None else None,
                **_sampling(sampling),
            )
            lengths = ends.lengths if ends is not None else {}
            for place, index in enumerate(chosen):
                new = output[place, ids.shape[1] :].tolist()
                # after a text that ended early stand padding tokens
                texts[index] = _until_end(new[: lengths.get(place, len(new))], encoder.end_ids)
            done += len(chosen)
            if on_batch is not None:
                on_batch(done, len(prompts))
    return texts


def prompt_batches(
    model: CausalLM, encoder: ChatEncoder, prompts: Sequence[list[int]], size: int, max_new_tokens: int
) -> Iterator[list[int]]:
    """Yield the places of ``prompts`` (ids) that are generated together, at most ``size``, shortest first."""
    return _batches(prompts, size, _mixed_lengths(model, encoder, max_new_tokens))


def _mixed_lengths(model: CausalLM, encoder: ChatEncoder, max_new_tokens: int) -> Callable[[int], bool]:
    """Return whether a prompt of some length may share a batch with shorter ones.

    A context that ends sooner, or a model that must not be padded on the left, takes prompts of one length at a time.
    """
    pads = batch_form(model).left
    return lambda length: pads and encoder.room_after(length, max_new_tokens) == max_new_tokens


def _generated(
    model: CausalLM, encoder: ChatEncoder, ids: torch.Tensor, mask: torch.Tensor, *, max_new_tokens: int, **options: Any
) -> torch.Tensor:
    """Return ``ids`` [rows, tokens] with the new tokens after them; the random state is left as it was."""
    with _kept_random_state(ids.device), _plain_settings(model):
        return model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=encoder.room_after(ids.shape[1], max_new_tokens),
            eos_token_id=encoder.end_ids,
            # gathered, it needs nobody else: the library would ask all ranks after each token
            **({"synced_gpus": False} if sharding.is_sharded(model) else {}),
            **options,
        )


def _batches(prompts: Sequence[list[int]], size: int, mixes: Callable[[int], bool]) -> Iterator[list[int]]:
    """Yield the indices of ``prompts``, shortest first, at most ``size`` together.

    A prompt of a length that does not mix goes only with prompts of the same length.
    """
    batch: list[int] = []
    for index in sorted(range(len(prompts)), key=lambda index: len(prompts[index])):
        length = len(prompts[index])
        if batch and (len(batch) == size or (length != len(prompts[batch[-1]]) and not mixes(length))):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class _Watcher:
    """What ``generate`` hands its tokens to: grows the texts and tells of it now and then."""

    def __init__(
        self,
        texts: list[list[int]],
        chosen: Sequence[int],
        ends: Sequence[int],
        finished: int,
        tell: Callable[[list[list[int]], int], None],
    ) -> None:
        self._texts = texts
        self._chosen = chosen
        self._ends = ends
        self._finished = finished
        self._tell = tell
        self._prompt_seen = False
        self._ended: set[int] = set()
        self._told_at = time.monotonic()

    def put(self, tokens: torch.Tensor) -> None:
        """Take the next token of every prompt; the first call brings the prompts themselves."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        for index, token in zip(self._chosen, tokens.tolist(), strict=True):
            if token in self._ends:
                self._ended.add(index)
            elif index not in self._ended:
                self._texts[index].append(token)
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._tell(self._texts, self._finished + len(self._ended))

    def end(self) -> None:
        """Nothing to do: the whole texts are on their way."""


class _Ends:
    """What ``generate`` asks after each token: which texts of a batch have ended; ``lengths`` of those that have."""

    def __init__(self, chosen: Sequence[int], prompt: int, ended: Callable[[int, list[int]], bool]) -> None:
        self._chosen = chosen
        self._prompt = prompt
        self._ended = ended
        self.lengths: dict[int, int] = {}

    def __call__(self, ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Return which rows of ``ids`` [batch, tokens] have ended."""
        for place, new in enumerate(ids[:, self._prompt :].tolist()):
            if place not in self.lengths and self._ended(self._chosen[place], new):
                self.lengths[place] = len(new)
        return torch.tensor([place in self.lengths for place in range(len(ids))], device=ids.device)


@contextmanager
def _plain_settings(model: CausalLM) -> Iterator[None]:
    """Leave out what a model's own generation config adds: beams, penalties, forced or suppressed tokens.

    They change what is written, the grade's digit too, and some cannot be used for texts that are shown as they grow.
    """
    inner: Any = getattr(model, "base_model", None)
    parts: tuple[Any, ...] = (model, inner, getattr(inner, "model", None))
    owners = [part for part in parts if _has_settings(part)]
    kept = [part.generation_config for part in owners]
    for part in owners:
        own = part.generation_config
        ids = {name: getattr(own, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        part.generation_config = type(own)(**ids, top_k=own.top_k)
    try:
        yield
    finally:
        for part, own in zip(owners, kept, strict=True):
            part.generation_config = own


def _has_settings(part: Any) -> bool:
    return getattr(part, "generation_config", None) is not None


def _sampling(sampling: st.Generation | None) -> dict[str, Any]:
    if sampling is None or not sampling.do_sample:
        # the model's own generation config may ask for sampling; greedy means greedy
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}


def _left_padded(prompts: Sequence[list[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), length), pad_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), length), dtype=torch.long)
    for index, prompt in enumerate(prompts):
        ids[index, length - len(prompt) :] = torch.tensor(prompt)
        mask[index, length - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _kept_random_state(device: torch.device) -> Any:
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _until_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    for place, token in enumerate(ids):
        if token in ends:
            return ids[:place]
    return ids
