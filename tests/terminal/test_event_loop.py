"""The screen's thread is given its turn soon and then left in peace."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
from pty_tools import until

from opeddev_tui.terminal.event_loop import ASKS_AFTER, DRAWS_FOR, new_event_loop


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


def test_the_interval_is_short_while_the_loop_waits_and_long_while_it_works() -> None:
    seen: dict[str, float] = {}

    def elsewhere(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
        try:
            until(lambda: sys.getswitchinterval() == pytest.approx(ASKS_AFTER), 1, "the loop waits")
            seen["waits"] = sys.getswitchinterval()
        finally:
            loop.call_soon_threadsafe(done.set)

    async def work() -> None:
        done = asyncio.Event()
        seen["works"] = sys.getswitchinterval()
        thread = threading.Thread(target=elsewhere, args=(asyncio.get_running_loop(), done), daemon=True)
        thread.start()
        await done.wait()
        seen["works again"] = sys.getswitchinterval()
        thread.join()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work())
    assert seen == {
        "works": pytest.approx(DRAWS_FOR),
        "waits": pytest.approx(ASKS_AFTER),
        "works again": pytest.approx(DRAWS_FOR),
    }
