"""Owns the app's connection to whatever terminal there is: none, the first one, or one handed over later.

The app, its event loop and the training thread go on when a terminal is lost; see ``terminal_link`` for what counts as
lost and ``handover`` for how another one arrives.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size

from opeddev_tui.notify_terminal import environment_of
from opeddev_tui.ui.handover import Client, Listener
from opeddev_tui.ui.lending import run_on
from opeddev_tui.ui.terminal_link import FAREWELL, Tty, first_terminal, size_of

OnChange = Callable[[str], None]
# an escape key is told from the start of a sequence by waiting: look again after these many seconds
_ESCAPE_LOOKS = (0.12, 0.3)
# an app that starts without a terminal lays itself out once before it stops drawing
_FIRST_LAYOUT_SECONDS = 1.0


class DetachableDriver(LinuxDriver):
    """A driver that outlives its terminals. Everything that changes its state runs on the event loop."""

    socket_path: ClassVar[Path]
    tell: ClassVar[OnChange]
    detached: ClassVar[bool] = False

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        # not LinuxDriver's own: that one takes hold of stdin and stderr and of the job-control signals
        Driver.__init__(self, app, debug=debug, mouse=mouse, size=size)
        self._in_band_window_resize = False
        self._mouse_pixels = False
        self._tty: Tty | None = None
        self._client: Client | None = None
        self._at_home = self._lent = False
        self._resting: contextlib.ExitStack | None = None
        self._descriptor: int | None = None
        self._listener: Listener | None = None
        self._thread = threading.get_ident()
        # what tells the kind of the terminal in use
        self.environment: Mapping[str, str] = os.environ
        first = None if self.detached else first_terminal()
        # a copy of its own: the first terminal may come back after it stalled
        self._home = os.dup(first) if first is not None else None
        if size is None:
            self._size = size_of(self._home) if self._home is not None else (80, 24)
        self._new_parser()

    @property
    def can_suspend(self) -> bool:
        """Never: stopping the process would stop the training."""
        return False

    def start_application_mode(self) -> None:
        """Take the first terminal if there is one, and listen for others."""
        self._watch_signals()
        if self._home is not None:
            self._take(self._home, None)
        else:
            self._tell("headless: started without a terminal")
            self._send_size(self._size or (80, 24))
            self._loop.call_later(_FIRST_LAYOUT_SECONDS, self._rest)
        self._listener = Listener(self.socket_path, self._handed_over, self._tell)

    def _tell(self, news: str) -> None:
        type(self).tell(news)

    def write(self, data: str) -> None:
        """Write to the terminal, or to nobody."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.write, data)
        elif self._tty is not None:
            self._tty.write(data)

    def disable_input(self) -> None:
        """Take no more keys."""
        if self._tty is not None:
            self._tty.stop_reading()

    def stop_application_mode(self) -> None:
        """Give the terminal back and accept no other one."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._give_up(self._app.return_code or 0, "the app has ended")
        self._draw_again()
        self._forget_home()

    def close(self) -> None:
        """Clean up; everything is given back already unless the app never got to its end."""
        self.stop_application_mode()

    def let_go(self) -> None:
        """Give the terminal back and go on without one, as a person asks."""
        self._give_up(0, "the training goes on without a screen")

    async def lend(self, command: Sequence[str]) -> bool:
        """Let ``command`` have the first terminal until it ends; False where the app is not shown there."""
        terminal, home = self._tty, self._home
        if terminal is None or home is None or not self._at_home:
            return False
        self._tty, self._lent = None, True
        terminal.give_up()
        self._rest()
        try:
            await run_on(home, command)
        finally:
            self._take_back()
        return True

    def _take_back(self) -> None:
        self._lent = False
        if self._tty is not None:  # another one was handed over meanwhile
            self._wait_at_home()
        elif self._home is not None and os.isatty(self._home):
            self._take(self._home, None)
        else:
            self._forget_home()
            self._tell("headless: the terminal was closed while it was lent")

    def _watch_signals(self) -> None:
        """Hang-ups are news, not the end; the terminal's job control must never stop the training."""
        for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        owner = os.getpid()

        def tell(action: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
            def handler(_number: int, _frame: FrameType | None) -> None:
                # workers forked from here share the handlers, and the loop may be over: then it means nothing
                if os.getpid() == owner and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(action)

            return handler

        # left in place after the app: a hang-up while a training is being finished must not end it
        signal.signal(signal.SIGHUP, tell(self._hung_up))
        signal.signal(signal.SIGWINCH, tell(self._window_changed))

    def _hung_up(self) -> None:
        if self._tty is not None and self._at_home:
            self._lost(self._tty, "hang-up signal")

    def _window_changed(self) -> None:
        if self._tty is not None and not self._in_band_window_resize:
            self._send_size(self._tty.size)

    def _handed_over(self, client: Client, descriptor: int) -> None:
        """Use the terminal of ``client`` from now on."""
        self._give_up(0, "another terminal took over")
        client.on_resized = self._window_changed
        client.on_gone = self._client_gone
        self._descriptor = descriptor
        self._take(descriptor, client)

    def _client_gone(self) -> None:
        """The process that lent its terminal is gone: nothing there is ours any more."""
        if self._tty is not None and self._client is not None:
            self._lost(self._tty, "the attached terminal is gone")

    def _take(self, descriptor: int, client: Client | None) -> None:
        self._new_parser()
        self._in_band_window_resize = self._mouse_pixels = False
        # whether this terminal knows synchronized output is asked anew
        self._app._sync_available = False
        self._leave_home_alone()
        self._draw_again()
        self._client, self._at_home = client, client is None
        self.environment = os.environ if client is None else environment_of(client.pid)
        self._tty = terminal = Tty(descriptor, on_input=self._input, on_lost=self._lost, on_caught_up=self._repaint)
        terminal.take(mouse=self._mouse)
        if client is not None:
            self._wait_at_home()
        columns, lines = terminal.size
        self._tell(f"attached: {columns}x{lines}" + (f" from process {client.pid}" if client else ""))
        self._send_size(terminal.size)
        if self._app._dom_ready:
            # not the first one: the terminal before may have lost the focus last
            self.send_message(events.AppFocus())
            self._repaint()

    def _lost(self, terminal: Tty, reason: str) -> None:
        if terminal is self._tty:
            self._give_up(0, reason, stalled=True)

    def _give_up(self, code: int, reason: str, *, stalled: bool = False) -> None:
        """Restore and leave the terminal in use; the app goes on without one."""
        terminal, self._tty = self._tty, None
        client, self._client = self._client, None
        if terminal is None:
            return
        over = self._listener is None
        farewell = FAREWELL.format(pid=os.getpid()) if self._at_home and not over else ""
        terminal.give_up(farewell, stalled=stalled)
        if client is not None:
            client.bye(code, reason)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if not over:
            self._rest()
            self._wait_at_home()
            self._tell(f"headless: {reason}")

    def _rest(self) -> None:
        """Draw nothing while nobody looks: widgets only note that they changed."""
        if self._tty is None and self._resting is None and self._listener is not None:
            self._resting = contextlib.ExitStack()
            self._resting.enter_context(self._app.batch_update())

    def _draw_again(self) -> None:
        if self._resting is not None:
            self._resting.close()
            self._resting = None

    def _wait_at_home(self) -> None:
        """Let Enter in the first terminal bring the app back there."""
        if self._home is not None and not self._lent:
            self._loop.add_reader(self._home, self._knock)

    def _leave_home_alone(self) -> None:
        if self._home is not None:
            self._loop.remove_reader(self._home)

    def _knock(self) -> None:
        assert self._home is not None
        try:
            typed = os.read(self._home, 4096)
        except BlockingIOError:
            return
        except OSError:
            typed = b""
        if not typed:
            self._forget_home()
        else:
            self._give_up(0, "the first terminal took over")
            self._take(self._home, None)

    def _forget_home(self) -> None:
        if self._home is not None:
            self._leave_home_alone()
            os.close(self._home)
            self._home = None

    def _new_parser(self) -> None:
        self._parser = XTermParser(self._debug)
        self._decode = getincrementaldecoder("utf-8")("replace").decode

    def _input(self, data: bytes) -> None:
        for message in self._parser.feed(self._decode(data)):
            self.process_message(message)
        for seconds in _ESCAPE_LOOKS:
            self._loop.call_later(seconds, self._look_for_escape, self._parser)

    def _look_for_escape(self, parser: XTermParser) -> None:
        if parser is self._parser:
            for message in parser.tick():
                self.process_message(message)

    def _send_size(self, columns_lines: tuple[int, int]) -> None:
        size = Size(*columns_lines)
        self.send_message(events.Resize(size, size))

    def _repaint(self) -> None:
        """Draw everything again; what the terminal shows is unknown."""
        getattr(self._app, "forget_terminal", bool)()

        def draw() -> None:
            if self._app.screen_stack:
                self._app.screen.refresh(layout=True)

        self._app.call_later(draw)


def make_driver(socket_path: Path, on_change: OnChange, *, detached: bool = False) -> type[LinuxDriver]:
    """Return the class for an app that can be attached to; ``on_change`` is told, on the event loop, the news."""
    return type(
        "ConfiguredDriver",
        (DetachableDriver,),
        {"socket_path": socket_path, "tell": staticmethod(on_change), "detached": detached},
    )
