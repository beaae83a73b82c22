"""The part of ``gpu.py`` that compares the attention that PyTorch chooses with its other kernels, cuDNN's left out.

Not for use by itself. A kernel that is prepared anew for each length costs little where all batches have one length, as
in most benchmarks, and much with rows as they are, or where texts grow by a token at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from gpu import Bench


@contextlib.contextmanager
def cudnn(allowed: bool) -> Iterator[None]:
    """Run the block with or without cuDNN's attention among those that PyTorch may choose."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(allowed)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def kernels(bench: Bench) -> None:
    """Time growing texts, scoring and optimizer steps on rows of many lengths, and on rows of one."""
    from opeddev_tui.models.attention import attend_in_padding

    model = bench.model()
    attend_in_padding(model)
    bench.tell("kernels", "as PyTorch is", cudnn=torch.backends.cuda.cudnn_sdp_enabled())
    for allowed in (True, False):
        with cudnn(allowed):
            for case, run in _cases(bench, model).items():
                bench.free()
                for time_of in ("first", "again"):
                    milliseconds = _milliseconds(bench, run)
                    name = f"{case}, cuDNN {'allowed' if allowed else 'left out'}, {time_of}"
                    bench.tell("kernels", name, milliseconds=milliseconds, peak_gib=bench.peak())


def _milliseconds(bench: Bench, run: Callable[[], int]) -> float:
    """Return the milliseconds for each of the units that ``run`` did."""
    bench.wait()
    began = time.perf_counter()
    units = run()
    bench.wait()
    return (time.perf_counter() - began) * 1000 / units


def _cases(bench: Bench, model: Any) -> dict[str, Callable[[], int]]:
    import gpu
    import gpu_texts

    longest = 60 if bench.tiny else 512
    lengths = range(longest, longest - (14 if bench.tiny else 70), -7)
    many = [bench.batch([length - less for less in (0, 3, 5, 11)]) for length in lengths]
    one = [bench.batch([longest] * 4)] * len(many)
    optimizer = gpu.adam(bench, model)

    def grow() -> int:
        new = 4 if bench.tiny else 24
        gpu_texts.grow(bench, model.eval(), 8, longest, new, "bf16")
        return new

    def score(batches: list[Any]) -> int:
        model.eval()
        with torch.no_grad(), gpu.cast("bf16", bench.device):
            for batch in batches:
                model(**batch)
        return len(batches)

    def train(batches: list[Any]) -> int:
        model.train()
        for batch in batches:
            gpu.optimize(bench, model, optimizer, batch, "bf16")
        return len(batches)

    return {
        "a token of 8 texts": grow,
        "scoring a batch, many lengths": lambda: score(many),
        "training a batch, many lengths": lambda: train(many),
        "training a batch, one length": lambda: train(one),
    }


PARTS: dict[str, Callable[[Bench], None]] = {"kernels": kernels}
