"""Bars of one line: the screens, the status of the run, the panes as tabs, the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.format import duration
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.keys import PLACES, Key
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.tables import cut

KIND_STYLES = {
    "training": "bold $primary", "awaiting": "bold $accent", "failed": "bold $text-error-own",
    "problem": "bold $text-error-own", "stalled": "bold $warning", "finished": "bold $success",
    "paused": "bold $warning", "interrupted": "bold $warning",
}  # fmt: skip


# the names of the screens: blanks around each, between key and name, and cells between two; the widest that fits
_FORMS = ((" ", " ", 1), ("", " ", 2), ("", " ", 1), ("", "", 1))


def keymap_in(widget: Widget) -> Keymap:
    """Return the keys as they are in the app that ``widget`` is in."""
    return cast("Shell", widget.app).session.keymap


class ClickBar(Static):
    """One line of parts; a click on a part runs its action. Parts that do not fit are left out."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self._spans: list[tuple[int, int, str]] = []

    def lay(self, parts: Iterable[tuple[Content, str]], gap: int = 2) -> None:
        """Show ``parts``, each with the action of a click on it ("" for none), ``gap`` cells apart."""
        self._spans, at, shown = [], 0, []
        limit = self.size.width or 1000
        for content, action in parts:
            width = content.cell_length
            if at + width > limit:
                break
            self._spans.append((at, at + width, action))
            shown.append(content)
            at += width + gap
        self.update(Content(" " * gap).join(shown), layout=False)

    def lay_around(self, parts: Sequence[tuple[Content, str]], at: int, gap: int = 2) -> None:
        """Show ``parts`` as ``lay`` does; the first ones give way only where the part ``at`` has no room behind them.

        Then a click on the "…" in their place runs the action of the last of them.
        """
        limit, first = self.size.width or 1000, 0
        while first < at and _width(parts[first : at + 1], gap) + (1 + gap) * bool(first) > limit:
            first += 1
        before = [(Content("…"), parts[first - 1][1])] if first else []
        self.lay([*before, *parts[first:]], gap)

    async def on_click(self, event: Click) -> None:
        """Run the action under the pointer."""
        x = event.get_content_offset_capture(self).x
        action = next((action for start, end, action in self._spans if start <= x < end), "")
        if action:
            await self.app.run_action(action, self.screen)


def _width(parts: Sequence[tuple[Content, str]], gap: int) -> int:
    return sum(content.cell_length + gap for content, _ in parts) - gap


class Places(ClickBar):
    """The names of the screens; the one on show stands out."""

    def __init__(self, mode: str) -> None:
        super().__init__(id="places")
        self._mode = mode

    def on_mount(self) -> None:
        """Write the names for the first picture."""
        self.on_resize()

    def on_resize(self) -> None:
        """Write the names with as much space around them as there is room for."""
        keymap = keymap_in(self)
        named = [(mode, keymap.first(f"everywhere.{mode}"), title) for _, mode, title in PLACES]

        def length(blank: str, apart: str, gap: int) -> int:
            return sum(cell_len(f"{blank}{key}{apart}{title}{blank}") + gap for _, key, title in named) - gap

        room = self.size.width or 80
        blank, apart, gap = next((form for form in _FORMS if length(*form) <= room), _FORMS[-1])
        parts: list[tuple[Content, str]] = []
        for mode, key, title in named:
            style = "bold reverse $primary on $background" if mode == self._mode else "$muted"
            # a name without a blank before it is told from its key by the key's colour
            key_style = style if apart or mode == self._mode else "bold $accent"
            name = Content.styled(f"{blank}{key}", key_style) + Content.styled(f"{apart}{title}{blank}", style)
            parts.append((name, f"app.go('{mode}')"))
        self.lay(parts, gap=gap)


class StatusLine(Static):
    """Which run is on show, what it trains, on which device, and the time since its last event."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="status")
        self._drawn: Content | None = None

    def show(self, view: View) -> None:
        """Draw the line; parts that do not fit are left out."""
        situation = view.situation
        word = "awaiting your decision" if situation.kind == "awaiting" else situation.kind
        room = (self.size.width or 80) - 1
        shown = [Content.styled(f" {situation.mark} {word}", KIND_STYLES.get(situation.kind, "bold"))]
        if view.told:
            left = max(24, room - shown[0].cell_length - 3)
            # what is cut can be read in the log
            more = keymap_in(self).text(" ({everywhere.log} Log: all)") if cell_len(view.told) > left else ""
            shown.append(Content.styled(cut(view.told, left - len(more)) + more, "bold $success"))
        for part in (Content.styled(text, "$foreground") for text in self._parts(view)):
            if sum(item.cell_length + 3 for item in shown) + part.cell_length <= room:
                shown.append(part)
        content = Content.styled(" │ ", "$muted").join(shown)
        if self._drawn is None or content.markup != self._drawn.markup:
            self._drawn = content
            self.update(content, layout=False)
            self.tooltip = Content(clean_line(view.run)) if view.run else None

    def _parts(self, view: View) -> list[str]:
        state, started = view.state, view.state.started
        parts = ["REPLAY of an old run"] if view.replay else []
        parts += ["read only"] if view.read_only else []
        if started is None:
            return [*parts, _tail(clean_line(view.workspace), 50)]
        if view.alive and not state.over:
            parts.append(f"event {duration(max(0.0, view.now - state.last_event_at))} ago")
        parts.append(f"step {started.step} {cut(clean_line(started.batch), 20)}")
        if state.model is not None:
            parts.append(clean_line(f"{state.model.device} {state.model.precision}"))
        if state.data is not None and state.data.processes > 1:
            parts.append(f"{state.data.processes} processes, {state.data.effective_batch} rows per step")
        parts.append(_tail(clean_line(started.model), 28))
        parts.append(f"hold-out {clean_line(started.holdout_fingerprint)[:8]}")
        parts += ["another process trains"] if view.trained_by == "other" and not view.replay else []
        return [*parts, f"run {_tail(clean_line(view.run), 40)}"]


def _tail(text: str, width: int) -> str:
    """Return the end of ``text`` in at most ``width`` cells: the end of a path says more than its beginning."""
    return text if cell_len(text) <= width else "…" + text[-(width - 1) :]


class KeyLine(ClickBar):
    """The keys that work now, from the key tables."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(id="keys")
        self._keys = keys

    def on_mount(self) -> None:
        """Write the keys for the first picture."""
        self.on_resize()

    def set_keys(self, keys: Sequence[Key]) -> None:
        """Show other keys, of another focused part."""
        if tuple(keys) != tuple(self._keys):
            self._keys = keys
            self.on_resize()

    def on_resize(self) -> None:
        """Write as many keys as fit."""
        keymap = keymap_in(self)
        parts = [key_part(key) for key in keymap.keys(self._keys) if key.footer]
        first, last = (keymap.first(f"everywhere.{PLACES[at][1]}") for at in (0, -1))
        parts.append((Content.styled(f"{first}-{last}", "bold $accent") + Content.styled(" screens", "$muted"), ""))
        self.lay(_with_help(parts, self.size.width or 1000))


def _with_help(parts: Sequence[tuple[Content, str]], room: int, gap: int = 2) -> list[tuple[Content, str]]:
    """Return the parts that fit into ``room`` cells, the help among them whatever else is left out."""
    kept = list(parts)
    while sum(content.cell_length + gap for content, _ in kept) - gap > room:
        others = [at for at, (_, action) in enumerate(kept) if action != "app.help"]
        if not others:
            break
        kept.pop(others[-1])
    return kept


def key_part(key: Key) -> tuple[Content, str]:
    """Return a key's short form for a bar, and the action of a click on it."""
    shown = Content.styled(key.display.split(" ")[0], "bold $accent") + Content.styled(f" {key.label}", "$muted")
    return shown, key.action


def key_cap(key: str, label: str = "", style: str = "") -> Content:
    """Return a key that answers a question, and what it does."""
    cap = Content.styled(f" {key} ", "bold reverse $accent on $background")
    return cap + Content.styled(f" {label}", style) if label else cap


class PaneTabs(ClickBar):
    """The panes as tabs, where there is room for one pane only."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._drawn: tuple[object, ...] = ()

    def show_tabs(self, tabs: Sequence[tuple[str, str]], current: str, *, numbered: bool = False) -> None:
        """Draw ``tabs`` (id, title), with the number that leads to each where the panes have numbers."""
        if numbered:
            tabs = [(name, f"{at} {title}") for at, (name, title) in enumerate(tabs, 1)]
        drawn = (tuple(tabs), current, self.size.width)
        if drawn != self._drawn:
            self._drawn = drawn
            self.lay(((tab(title, name == current), f"show_pane('{name}')") for name, title in tabs), gap=1)


def tab(title: str, here: bool) -> Content:
    """Return a tab's title, in brackets where it is the one on show."""
    return Content.styled(f"[{title}]" if here else f" {title} ", "bold $primary" if here else "$muted")
