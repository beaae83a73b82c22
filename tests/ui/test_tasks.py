"""What background tasks tell their caller: results, problems, the end; and nothing once nobody is there."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from textual.app import App

from opeddev_tui.errors import StorageProblem
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.base import TaskBase


class Told(App[None]):
    """An app that keeps what is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tasks = TaskBase(cast("Shell", self))

    def tell(self, text: str, *, severity: str = "information") -> None:
        """Keep a notice."""
        self.said.append(f"{severity}: {text}")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, []),
        (StorageProblem("the disk is full."), ["error: the disk is full."]),
        (OSError(5, "input/output error", "rows.jsonl"), ["error: rows.jsonl: input/output error"]),
    ],
)
async def test_the_end_is_told_with_a_result_and_with_a_problem(error: Exception | None, told: list[str]) -> None:
    app, found = Told(), cast("list[Any]", [])

    def work() -> int:
        if error is not None:
            raise error
        return 7

    async with app.run_test():
        app.tasks._in_thread("one", work, found.append, lambda: found.append("ended"))
        await app.workers.wait_for_complete()
    assert found == ([7] if error is None else []) + ["ended"]
    assert app.said == told


async def test_what_was_replaced_or_left_behind_does_not_tell_its_end() -> None:
    app, found, begun = Told(), cast("list[str]", []), asyncio.Event()

    async def held() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def quick() -> None:
        found.append("newer")

    async with app.run_test() as pilot:
        app.tasks._go(held, "one", lambda: found.append("older ended"), exclusive=True)
        await begun.wait()
        app.tasks._go(quick, "one", lambda: found.append("newer ended"), exclusive=True)
        while "newer ended" not in found:
            await pilot.pause()
        begun.clear()
        app.tasks._go(held, "one", lambda: found.append("ended after the app"), exclusive=True)
        await begun.wait()
    assert found == ["newer", "newer ended"]
