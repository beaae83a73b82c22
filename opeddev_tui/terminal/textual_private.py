"""Everything that uses a private name of Textual or Rich: driver, pictures, app, screen. No other module may.

A new Textual release is tried against this file first. It must know nothing of trainings, only of terminals.
"""

from __future__ import annotations

import os
import signal
import termios
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from string import digits
from types import FrameType
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate as ChopsUpdate
from textual._compositor import CompositorUpdate as CompositorUpdate
from textual._compositor import LayoutUpdate as LayoutUpdate
from textual._xterm_parser import XTermParser
from textual.app import App, RenderResult
from textual.cache import FIFOCache
from textual.css.stylesheet import Stylesheet
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Event, Key, Mount, Resize
from textual.message_pump import MessagePump
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.strip import Strip
from textual.theme import Theme
from textual.visual import Visual

from opeddev_tui.terminal.hangup import TerminalLost, Tty
from opeddev_tui.terminal.key_order import KeysInOrder

# an escape key is told from the start of a sequence by waiting: look again after these many seconds
_ESCAPE_LOOKS = (0.12, 0.3)
# the window's title on its stack and back; the end of a frame that was cut short, and of its colours
_TITLE_KEPT, _TITLE_BACK, _FRAME_ENDED = "\x1b[22;2t", "\x1b[23;2t", "\x1b[?2026l\x1b[0m"

# returns the sequences to send for a strip at (x, y)
Changed = Callable[[int, int, Strip, ColorSystem], Iterator[str]]


class ComparedUpdate(CompositorUpdate):
    """A picture that is compared with what the terminal shows at the moment it is sent."""

    def __init__(self, update: ChopsUpdate | LayoutUpdate, changed: Changed) -> None:
        self._update, self._changed = update, changed

    def render_segments(self, console: Console) -> str:
        """Return the sequences for what changed."""
        system = console._color_system or ColorSystem.TRUECOLOR
        pieces = _chops(self._update) if isinstance(self._update, ChopsUpdate) else _lines(self._update)
        return "".join(text for x, y, strip in pieces for text in self._changed(x, y, strip, system))


def _lines(update: LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield x, y, strip
            x += strip.cell_length


def _chops(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= right and end > left:
                yield x, y, strip


# the caches of a line on the screen, with the entries that Textual gives them
_CACHES = {
    "_divide_cache": 4, "_crop_cache": 16, "_style_cache": 16, "_filter_cache": 4, "_line_length_cache": 4,
    "_crop_extend_cache": 4, "_offsets_cache": 4,
}  # fmt: skip
# what else a line holds
_PARTS = {"_segments", "_cell_length", "_render_cache", "_link_ids", "_cell_count"}


def _begin_strip(strip: Strip, segments: Iterable[Segment], cell_length: int | None = None) -> None:
    strip._segments = list(segments)
    strip._cell_length = cell_length
    strip._render_cache = strip._link_ids = strip._cell_count = None


def _make_cache(strip: Strip, name: str) -> FIFOCache[Any, Any]:
    """Make a cache of ``strip`` when it is looked into first: until then the attribute is missing."""
    if name not in _CACHES:
        raise AttributeError(name)
    cache: FIFOCache[Any, Any] = FIFOCache(_CACHES[name])
    setattr(strip, name, cache)
    return cache


def make_caches_late() -> None:
    """Let lines make their caches when they are used first.

    Textual makes seven for each line of each picture, and most are never looked into. Without them a picture of 200x60
    takes a third less time, and the garbage collector has less to look at. A release whose lines have other parts
    keeps its own way.
    """
    if {*_CACHES, *_PARTS} == set(Strip.__slots__):
        Strip.__init__ = _begin_strip  # type: ignore[method-assign, assignment]
        Strip.__getattr__ = _make_cache  # type: ignore[attr-defined]


class _ParsedOnce(Stylesheet):
    """Style sheets that are parsed once for as long as the theme stays; Textual parses all for each one that is new."""

    def reparse(self) -> None:
        """Parse what is new, or everything where the theme is: whoever changes the colours drops what was parsed."""
        self.parse()


class PrivateApp(KeysInOrder):
    """Hooks that Textual's app has no public names for."""

    # reduces a picture to what is not yet shown, given the size (columns, lines); None sends everything
    only_changes: Callable[[CompositorUpdate, tuple[int, int]], CompositorUpdate] | None = None

    def __init__(self, *, driver_class: type[Driver] | None = None) -> None:
        make_caches_late()
        super().__init__(driver_class=driver_class)
        self.stylesheet = _ParsedOnce(variables=self.stylesheet._variables)

    @property
    def failure(self) -> Exception | None:
        """What ended the app, None if it was left."""
        return self._exception

    @property
    def terminal_driver(self) -> Driver | None:
        """What reads and writes the terminal; None before the app runs and after it failed."""
        return self._driver

    def get_theme(self, theme_name: str) -> Theme | None:
        """Return the theme ``theme_name``, None if there is none; it is asked for with every line that is drawn."""
        return self._registered_themes.get(theme_name) or super().get_theme(theme_name)

    def match_colours(self) -> None:
        """Fit the filter of colours to the theme that was chosen before the app runs."""
        self._refresh_truecolor_filter(self.ansi_theme)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Send a picture, without the cells that the terminal shows already."""
        if self.only_changes is not None and isinstance(renderable, CompositorUpdate) and not self.is_headless:
            renderable = self.only_changes(renderable, (self.size.width, self.size.height))
        super()._display(screen, renderable)

    def _fatal_error(self) -> None:
        # Textual would print all local variables; whoever runs the app tells the failure
        self._close_messages_no_wait()


class _ToldWhenWhole(MessagePump):
    """A screen that is told of its beginning and its size only while it has its parts: its handlers look for them.

    One that closes as it opens gets none.
    """

    async def on_event(self, event: Event) -> None:
        """Hand ``event`` on, unless it is about the parts of a screen that closes."""
        if not (isinstance(event, Mount | Resize) and getattr(self, "_pruning", False)):
            await super().on_event(event)


class SteadyScreen(_ToldWhenWhole, Screen[None]):
    """A screen that is not drawn, and whose style sheets are not read, more often than needed."""

    def __init__(self) -> None:
        super().__init__()
        # a new screen has the newest style sheets: Textual would read all of them once more
        self._css_update_count = self.app._css_update_count

    def _compositor_refresh(self) -> None:
        """Draw, but not while the app is about to change more: Textual throws that picture away."""
        if not self.app._batch_count:
            super()._compositor_refresh()


@lru_cache(maxsize=1024)
def _inert_style(style: Style) -> Style:
    """Return the style without what a click does: always the same object, which Textual's caches find at once."""
    return style.clear_meta_and_links()


def _inert(strip: Strip) -> Strip:
    pieces = [Segment(text, style and _inert_style(style), control) for text, style, control in strip]
    return Strip(pieces, strip.cell_length)


class Below(Visual):
    """The screen below a dialog, as it is: Textual's own way tints each of its cells, even with a colour not seen."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen

    def render_strips(self, *_measures: Any) -> list[Strip]:
        """Return the lines of the screen, whatever the room."""
        return [_inert(strip) for strip in self._screen._compositor.render_strips()]

    def get_optimal_width(self, *_measures: Any) -> int:
        """Return the columns of the screen."""
        return self._screen.size.width

    def get_height(self, *_measures: Any) -> int:
        """Return the lines of the screen."""
        return self._screen.size.height


class Dialog(_ToldWhenWhole, ModalScreen[ScreenResultType]):
    """A screen over another, which is seen around it."""

    def render(self) -> RenderResult:  # type: ignore[override]  # a widget's render may give a visual, a screen's is typed narrower
        """Return what is seen around the dialog."""
        around = super().render()
        return Below(around.screen) if isinstance(around, BackgroundScreen) and not around.color.a else around


class KeyParser(XTermParser):
    """Textual's parser, with Alt and a digit as most terminals send them: Textual takes them for other characters."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        if len(sequence) == 2 and sequence[0] == "\x1b" and sequence[1] in digits:
            return [Key(f"alt+{sequence[1]}", None)]
        return super()._sequence_to_key_events(sequence, alt)


class HangupDriver(LinuxDriver):
    """Textual's driver for Linux, with the terminal read and written by ``Tty``; its two threads have nothing to do."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        # nothing at a terminal may stop the process: it trains
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        self._thread = threading.get_ident()
        self._tty: Tty | None = None
        self._modes: list[Any] | None = None

    @property
    def can_suspend(self) -> bool:
        """Never: stopping the process would stop the training."""
        return False

    def start_application_mode(self) -> None:
        """Take the terminal."""
        self._tty = Tty(self.fileno, self._input, self.send_message)
        self._parser = KeyParser(self._debug)
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._watch_hang_ups()
        self.write(_TITLE_KEPT)
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's own has no annotations
        self._modes = self._attributes()
        self._tty.listen()

    def _watch_hang_ups(self) -> None:
        owner = os.getpid()

        def hung_up(_number: int, _frame: FrameType | None) -> None:
            # workers forked from here share the handler, and the loop may be over: then it means nothing
            if os.getpid() == owner and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.lose, "hang-up signal")

        signal.signal(signal.SIGHUP, hung_up)

    def lose(self, reason: str) -> None:
        """Take the terminal for lost."""
        if self._tty is not None:
            self._tty.lose(reason)
        else:
            self.send_message(TerminalLost(reason))  # lent to another program

    def write(self, data: str) -> None:
        """Write to the terminal; do nothing once it is lost."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.write, data)
        elif self._tty is not None:
            self._tty.write(data)

    def disable_input(self) -> None:
        """Take no more keys."""
        if self._tty is not None:
            self._tty.stop_reading()
            super().disable_input()

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was found; what somebody else has set meanwhile stays."""
        if self._tty is None:
            return
        self._tty.stop_reading()
        self.write(_FRAME_ENDED)
        if self._attributes() != self._modes:
            self.attrs_before = None
        super().stop_application_mode()
        self.write(_TITLE_BACK)
        self._tty.close()
        self._tty = None

    def _attributes(self) -> list[Any] | None:
        try:
            return termios.tcgetattr(self.fileno)
        except termios.error:
            return None

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self.fileno)
        except OSError:
            return 80, 24
        return columns or 80, lines or 24

    def _run_input_thread(self) -> None:
        """End Textual's thread at once: the event loop reads."""

    def _input(self, data: bytes) -> None:
        for message in self._parser.feed(self._decode(data)):
            self.process_message(message)
        for seconds in _ESCAPE_LOOKS:
            self._loop.call_later(seconds, self._look_for_escape, self._parser)

    def _look_for_escape(self, parser: XTermParser) -> None:
        if parser is self._parser:
            for message in parser.tick():
                self.process_message(message)
