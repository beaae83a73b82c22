"""What screens, background tasks and the announcer may ask of the app, as a protocol.

They take a ``Shell`` instead of the app itself: nothing below the app imports it. Only signatures belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from textual.message import Message
from textual.screen import Screen

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.events import AnyEvent
from opeddev_tui.ui.state.app_state import AppState
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.training_thread import TrainingThread
from opeddev_tui.ui.state.view import RunRow

Result = TypeVar("Result")


class Disk(Protocol):
    """The background tasks on the workspace that screens may ask for; all return at once."""

    def refresh(self) -> None:
        """Read the list of runs and the data folders again."""

    def show_run(self, row: RunRow) -> None:
        """Show a run in the monitor."""

    def read_log(self, done: Callable[[list[str]], None]) -> None:
        """Hand the last lines of the log to ``done``."""

    def save_settings(self, changes: Mapping[str, Any], failed: Callable[[str], None] | None = None,
                      saved: Callable[[], None] | None = None) -> None:  # fmt: skip
        """Save settings to the app's own file."""


class Shell(Protocol):
    """The app as seen from below."""

    loaded: LoadedSettings
    live: TrainingThread
    session: AppState
    provider: WorkspaceReader

    @property
    def disk(self) -> Disk:
        """The tasks that read and write the workspace."""

    def write_to_terminal(self, text: str) -> None:
        """Write control sequences between two pictures; an app without a terminal writes nothing."""

    def tell(self, text: str, *, severity: str = ...) -> None:
        """Show a short message."""

    def announce(self, events: Iterable[AnyEvent]) -> None:
        """Notify a person of those of ``events`` that are worth it."""

    def show_now(self) -> None:
        """Hand the newest view to the screen on top."""

    def push_screen(self, screen: Screen[Result], callback: Callable[[Result | None], None] | None = ...) -> object:
        """Show ``screen`` over this one; ``callback`` gets its result."""

    def run_worker(
        self, work: Coroutine[Any, Any, None], *, group: str = ..., exclusive: bool = ..., exit_on_error: bool = ...
    ) -> object:
        """Run ``work`` beside the screen."""

    def post_message(self, message: Message) -> bool:
        """Leave a message for the app."""

    def action_go(self, mode: str) -> None:
        """Go to a screen."""

    def offered(self, action: str, do: Callable[[], None]) -> None:
        """Do what the bar offers, if it offers it and has been visible long enough."""

    def decide(self, choice: str) -> None:
        """Hold an answer to the question, or a stop of the training."""

    def undo(self) -> None:
        """Take back what was chosen."""

    def ask(self, action: str) -> None:
        """Pause, sample or save now."""

    def start_training(self, start: StepRequest | None = ...) -> None:
        """Begin to train."""

    def make_workspace(self) -> None:
        """Make a workspace in the folder the app was started in."""

    def run_demo(self) -> None:
        """Leave for the demo."""

    async def lend_terminal(self, command: Sequence[str]) -> bool:
        """Have ``command`` run in the terminal, the screen away meanwhile; False where that cannot be."""

    def back_to_live(self) -> None:
        """Go from an old run to the newest one."""
