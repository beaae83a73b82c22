"""Readings of machines with any number of GPUs; exports pictures of the machine pane.

``python tests/ui/machines.py OUT`` writes an SVG with two GPUs, and one without, at every size.
"""

from __future__ import annotations

import asyncio
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from many import export
from scenes import SIZES, make, opened, settle

from opeddev_tui.runs import events as ev


def readings(at: float, count: int, gpus: int) -> Iterator[ev.HardwareSampled]:
    """Yield ``count`` readings, five seconds apart; the GPUs are numbered as CUDA does and named by UUID."""
    for number in range(count):
        cards = tuple(
            ev.GpuReading(
                index=card,
                uuid=f"GPU-{card:04x}beef-0000",
                name="NVIDIA H100 80GB HBM3",
                memory_used=int((20 + 40 * (1 - math.exp(-number / 60)) + card) * 2**30),
                memory_total=80 * 2**30,
                percent=100.0 if card == 0 else 55 + 40 * math.sin(number / (9 + card)),
                celsius=60.0 + card,
                watts=400.0 + 10 * card,
            )
            for card in range(gpus)
        )
        yield ev.HardwareSampled(at=at + 5 * number, cpu_percent=50 + 45 * math.sin(number / 20),
                                 ram_used=(20 + number % 9) * 2**30, ram_total=256 * 2**30, gpus=cards)  # fmt: skip


async def picture(out: Path, gpus: int, size: tuple[int, int], theme: str, keys: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = make(Path(folder), "training", theme=theme)
        async with app.run_test(size=size) as pilot:
            await opened(pilot)
            await settle(app, "training")
            app.session.apply(list(readings(1_700_000_000.0, 700, gpus)))
            app.show_now()
            await pilot.press(*keys)
            await pilot.pause()
            await pilot.pause()
            export(app, out / f"machine-{gpus}{''.join(keys)}-{size[0]}x{size[1]}-{theme}.svg")


async def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for gpus, keys in ((2, ("M",)), (2, ()), (0, ("M",)), (8, ("M",))):
            await picture(out, gpus, size, "opeddev-dark", keys)
    await picture(out, 2, SIZES[1], "opeddev-light", ("M",))


if __name__ == "__main__":
    asyncio.run(main())
