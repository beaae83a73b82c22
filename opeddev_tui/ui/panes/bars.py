"""Owns the one-line bars: places, status, tabs of the panes, keys of the moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.widgets import Static

from opeddev_tui.format import duration
from opeddev_tui.text import clean_line
from opeddev_tui.ui.columns import fit
from opeddev_tui.ui.keys import PLACES, Key
from opeddev_tui.ui.situation import situation
from opeddev_tui.ui.view import View

KIND_STYLES = {
    "training": "bold $primary", "awaiting": "bold $accent", "failed": "bold $text-error-own",
    "problem": "bold $text-error-own", "stalled": "bold $warning", "finished": "bold $success",
    "paused": "bold $warning", "interrupted": "bold $warning",
}  # fmt: skip


class ClickBar(Static):
    """One line of parts; a click on one runs its action. Parts that do not fit are left out."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self._spans: list[tuple[int, int, str]] = []

    def lay(self, parts: Iterable[tuple[Content, str]], gap: int = 2) -> None:
        """Show ``parts``, each with the action of a click on it."""
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

    async def on_click(self, event: Click) -> None:
        """Run the action under the pointer."""
        x = event.get_content_offset_capture(self).x
        action = next((action for start, end, action in self._spans if start <= x < end), "")
        if action:
            await self.app.run_action(action, self.screen)


class Places(ClickBar):
    """The screens and which one this is."""

    def __init__(self, mode: str) -> None:
        super().__init__(id="places")
        self._mode = mode

    def on_mount(self) -> None:
        """Write the names once."""
        self.on_resize()

    def on_resize(self) -> None:
        """Write the names, short where there is little room."""
        self.lay(((self._place(key, mode, title), f"app.go('{mode}')") for key, mode, title in PLACES), gap=1)

    def _place(self, key: str, mode: str, title: str) -> Content:
        here = mode == self._mode
        return Content.styled(f" {key} {title} ", "bold reverse $primary on $background" if here else "$muted")


class StatusLine(Static):
    """Which run this is, on what, and how long ago it gave a sign of life."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="status")
        self._drawn: Content | None = None

    def show(self, view: View) -> None:
        """Draw the line; what matters least goes first where the width is short."""
        found = situation(view)
        style = KIND_STYLES.get(found.kind, "bold")
        word = {"awaiting": "your decision", "stalled": "stalled"}.get(found.kind, found.kind)
        parts = [Content.styled(f" {found.mark} {word}", style)]
        parts += [Content.styled(text, "$foreground") for text in self._parts(view)]
        room, shown = (self.size.width or 80) - 1, [parts[0]]
        for part in parts[1:]:
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
        parts.append(
            f"step {started.step} {fit(clean_line(started.batch), min(20, cell_len(clean_line(started.batch))))}"
        )
        if state.model is not None:
            parts.append(clean_line(f"{state.model.device} {state.model.precision}"))
        parts.append(_tail(clean_line(started.model), 28))
        parts.append(f"hold-out {clean_line(started.holdout_fingerprint)[:8]}")
        parts += ["another process trains"] if view.whose == "other" and not view.replay else []
        return [*parts, f"run {_tail(clean_line(view.run), 40)}"]


def _tail(text: str, width: int) -> str:
    return text if cell_len(text) <= width else "…" + text[-(width - 1) :]


class KeyLine(ClickBar):
    """The keys of the moment, from the tables."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(id="keys")
        self._keys = keys

    def on_mount(self) -> None:
        """Write the keys once."""
        self.on_resize()

    def set_keys(self, keys: Sequence[Key]) -> None:
        """Show other keys."""
        if tuple(keys) != tuple(self._keys):
            self._keys = keys
            self.on_resize()

    def on_resize(self) -> None:
        """Write what fits."""
        parts = [(_key(key), key.action) for key in self._keys if key.footer]
        self.lay([*parts, (Content.styled("1-6", "bold $accent") + Content.styled(" screens", "$muted"), "")])


def _key(key: Key) -> Content:
    return Content.styled(key.display.split(" ")[0], "bold $accent") + Content.styled(f" {key.label}", "$muted")


class PaneTabs(ClickBar):
    """The panes as tabs, where there is room for one only."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._drawn: tuple[object, ...] = ()

    def show_tabs(self, tabs: Sequence[tuple[str, str]], current: str) -> None:
        """Draw ``tabs`` (id, title)."""
        drawn = (tuple(tabs), current, self.size.width)
        if drawn != self._drawn:
            self._drawn = drawn
            self.lay((_tab(title, name == current), f"show_pane('{name}')") for name, title in tabs)


def _tab(title: str, here: bool) -> Content:
    return Content.styled(f"[{title}]" if here else f" {title} ", "bold $primary" if here else "$muted")
