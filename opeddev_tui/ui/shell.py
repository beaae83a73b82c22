"""What screens, background tasks and the announcer may ask of the app, as protocols.

They take a ``Shell`` instead of the app itself: nothing below the app imports it. Only signatures belong here; what
each does is said at the method of that name in ``app``, ``process`` and ``tasks.workspace``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from textual.message import Message
from textual.screen import Screen

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.runs.control import Adjust, StepRequest
from opeddev_tui.runs.events import AnyEvent
from opeddev_tui.ui.state.app_state import AppState
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.training_thread import TrainingThread
from opeddev_tui.ui.state.view import RunRow

Result = TypeVar("Result")
# called when it begins
Work = Callable[[], Coroutine[None, None, None]]


class Disk(Protocol):
    """The background tasks on the workspace that screens may ask for; all return at once."""

    def refresh(self) -> None: ...
    def show_run(self, row: RunRow) -> None: ...
    def read_log(self, done: Callable[[list[str]], None]) -> None: ...
    def save_settings(
        self,
        changes: Mapping[str, Any],
        failed: Callable[[str], None] | None = None,
        saved: Callable[[], None] | None = None,
    ) -> None: ...


class Shell(Protocol):
    """The app as seen from below."""

    loaded: LoadedSettings
    live: TrainingThread
    session: AppState
    provider: WorkspaceReader

    @property
    def disk(self) -> Disk: ...
    def write_to_terminal(self, text: str) -> None: ...

    # what Textual's App has already
    def push_screen(self, screen: Screen[Result], callback: Callable[[Result | None], None] | None = ...) -> object: ...
    def run_worker(
        self,
        work: Any,  # Work; Textual's own type takes much else
        *,
        group: str = ...,
        exclusive: bool = ...,
        exit_on_error: bool = ...,
    ) -> object: ...
    def post_message(self, message: Message) -> bool: ...

    def use_settings(self, loaded: LoadedSettings) -> None: ...

    # what the app tells
    def tell(self, text: str, *, severity: str = ..., logged: bool = ...) -> None: ...
    def announce(self, events: Iterable[AnyEvent]) -> None: ...
    def show_now(self) -> None: ...

    # what keys ask for
    def action_go(self, mode: str) -> None: ...
    def offered(self, action: str, do: Callable[[], None]) -> None: ...
    def decide(self, choice: str) -> None: ...
    def adjust(self, command: Adjust) -> None: ...
    def undo(self) -> None: ...
    def ask(self, action: str) -> None: ...
    def start_training(self, start: StepRequest | None = ...) -> None: ...
    def make_workspace(self) -> None: ...
    def run_demo(self) -> None: ...
    def show_in_pager(self, text: str) -> None: ...
    async def lend_terminal(self, command: Sequence[str]) -> bool: ...
    def back_to_live(self) -> None: ...
