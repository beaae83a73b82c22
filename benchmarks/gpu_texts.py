"""The part of ``gpu.py`` that generates texts, and what the other parts generate and score with.

Not for use by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu import Bench


class Encoder:
    """What scoring and generation ask of an encoder: no token ends a text, and the context has no end."""

    end_ids = (1,)

    def room_after(self, _length: int, wanted: int) -> int:
        return wanted


def generate(bench: Bench) -> None:
    """Time the generation of texts, as after every epoch."""
    import gpu

    model = bench.model().eval()
    new, length = (8, 64) if bench.tiny else (64, 512)
    grow(bench, model, 1, length, 4, "fp32")
    for name in gpu.precisions(bench):
        for size in (1, 8, 32):
            bench.free()
            seconds, count = grow(bench, model, size, length, new, name)
            case = f"{name}, {size} prompts of {length} tokens together"
            bench.tell("generate", case, tokens_per_second=count / seconds, seconds=seconds, peak_gib=bench.peak())


def grow(bench: Bench, model: Any, size: int, length: int, new: int, name: str) -> tuple[float, int]:
    """Generate ``new`` tokens for ``size`` prompts in the arithmetic ``name``; return the seconds and the tokens."""
    import gpu

    from opeddev_tui.models import generation

    encoder: Any = Encoder()
    prompts = [row.prompt for row in bench.rows([length - number % 7 for number in range(size)], 1)]
    began = time.perf_counter()
    with gpu.cast(name, bench.device):
        texts = generation.generate(model, encoder, prompts, pad_id=0, max_new_tokens=new, batch_size=size)
    bench.wait()
    return time.perf_counter() - began, sum(map(len, texts))


PARTS: dict[str, Callable[[Bench], None]] = {"generate": generate}
