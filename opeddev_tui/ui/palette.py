"""Entries of the command palette: what is possible now, the keys of the screen on top, the screens, the themes.

What only moves about has no entry: a key does that better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from textual.app import App
from textual.command import Hit, Hits, Provider
from textual.content import Content
from textual.screen import Screen
from textual.style import Style

from opeddev_tui.config import described
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import GLOBAL, MONITOR, PLACES, SCREEN_KEYS, Key
from opeddev_tui.ui.screens.base import BaseScreen, do_action
from opeddev_tui.ui.shell import Shell

if TYPE_CHECKING:
    from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
    from opeddev_tui.ui.screens.settings import SettingsScreen

THEME = "Theme: "
# the newest runs that a search finds: older ones are found in the list of runs
_MOST_RUNS = 100
# actions that move a cursor, a view or the focus
_MOVES = frozenset(
    {"scroll_down", "scroll_up", "scroll", "cursor_down", "cursor_up", "scroll_left", "scroll_right", "move", "pan",
     "pane", "app.focus_next", "app.pane_number", "app.command_palette", "prompt", "top", "bottom", "zoom",
     "end", "ends", "scroll_home", "scroll_end", "scroll_top", "scroll_bottom"}
)  # fmt: skip
# actions of the monitor that the decision bar offers when they are possible
_OFFERED = frozenset(
    {"decide", "more", "undo", "start", "ask", "make_workspace", "open_near", "demo", "back_to_live", "stop_now"}
)

# what the palette calls a key whose word in the footer, where a person sees the screen, is one of several screens
_CALLED = {
    "monitor.compare": "Compare this run with others", "runs.compare": "Compare the marked runs",
    "monitor.observation": "Observation on this run", "generations.observation": "Observation on this run",
    "grading.observation": "Observation on this run",
    "monitor.grow": "Grow the pane", "generations.grow": "Grow the text",
    "monitor.back": "Back from a grown pane or an old run", "generations.back": "Back from a grown text",
    "grader.back": "Leave the text or the search", "compare.back": "Back from the comparison",
    "probes.back": "Back from the prompts", "grades.back": "Back from the grades",
    "generations.search": "Search all probe prompts", "probes.search": "Search these prompts",
    "grades.search": "Search the changed rows", "grading.search": "Search the disputed rows",
    "rows.search": "Search the rows", "grader.search": "Search the answers",
    "checkpoints.filter": "Filter the checkpoints", "log.filter": "Filter the log", "runs.filter": "Filter the runs",
    "settings.filter": "Filter the settings", "compare.filter": "Filter the compared runs",
    "checkpoints.clear": "Drop the filter of the checkpoints", "log.clear": "Drop the filter of the log",
    "settings.clear": "Drop the filter of the settings", "runs.clear": "Drop the filter of the runs",
    "grading.clear": "Drop the search of the disputed rows", "rows.clear": "Drop the search of the rows",
    "generations.pin": "Pin the prompt", "checkpoints.pin": "Pin the checkpoint",
    "checkpoints.mark": "Mark the checkpoint", "runs.mark": "Mark the run",
    "checkpoints.order": "Order the checkpoints", "runs.order": "Order the runs", "grader.order": "Order the answers",
    "probes.sort": "Sort the prompts", "rows.sort": "Sort the rows",
    "generations.later": "Later point on the right", "generations.earlier": "Earlier point on the right",
    "probes.later": "Later point as now", "probes.earlier": "Earlier point as now",
    "grades.later": "Later epoch of these grades", "grades.earlier": "Earlier epoch of these grades",
    "settings.undo": "Undo the change of a setting", "grading.undo": "Undo the correction of a row",
    "grader.undo": "Undo the correction of an answer",
    "runs.reload": "Reload the runs", "rows.reload": "Reload the rows",
    "grading.read": "Read the disputed row", "rows.read": "Read the row", "grader.read": "Read the answer",
    "probes.read": "Read the prompt", "grades.read": "Read the changed row",
    "runs.open": "Open the run", "compare.open": "Open the compared run",
    "grader.stop": "Stop grading",
    **{f"{table}.details{more}": f"{words} of the {of}"
       for table, of in (("checkpoints", "checkpoint"), ("settings", "setting"), ("runs", "run"), ("rows", "row"),
                         ("probes", "prompt"))
       for more, words in (("", "Details"), ("-down", "Further down in the details"),
                           ("-up", "Further up in the details"))},
}  # fmt: skip
# what does the same on several screens has one entry
_SAME = frozenset({"note"})


def called(key: Key) -> str:
    """Return the name of ``key`` among those of all screens."""
    return _CALLED.get(key.name, key.label)


class Entry(Struct, frozen=True):
    """One line of the palette; a higher ``rank`` stands above a lower one."""

    rank: int
    title: str
    help: str
    do: Callable[[], None]


def entries(app: App[Any], screen: Screen[Any], choose_theme: Callable[[str], None]) -> Iterator[Entry]:
    """Return what the palette offers over ``screen``, what is possible now first."""
    if not isinstance(screen, BaseScreen):
        return
    session = cast("Shell", app).session
    situation, keymap = session.shown.situation, session.keymap
    # the decision bar's own actions, also where another screen is on top
    for offer in situation.offers:
        told = next(
            (key.help for key in keymap.keys(MONITOR) if key.display.split(" ")[0] == offer.key), situation.headline
        )
        help_text = offer.effect or told
        yield Entry(4, f"{offer.label}  ({offer.key})", f"Now: {help_text}", partial(_on_monitor, app, offer.action))
    if session.guard.chosen is not None:
        undo = next(key for key in keymap.keys(MONITOR) if key.action == "undo")
        yield Entry(4, f"{undo.label}  ({undo.display})", undo.help, partial(_on_monitor, app, undo.action))
    offered = {offer.action for offer in situation.offers}
    for title, keys in screen.help_sections():
        for key in keys:
            name = key.action.partition("(")[0]
            in_bar = key.action in offered or (key.table == "monitor" and name in _OFFERED)
            if name not in _MOVES and not in_bar and screen.offers(key):
                yield Entry(_rank(key, title, screen), f"{called(key)}  ({key.display})", key.help,
                            partial(do_action, app, screen, key.action))  # fmt: skip
    for name in sorted(app.available_themes):
        yield Entry(0, f"{THEME}{name}", "Use this theme from now on.", partial(choose_theme, name))


def _rank(key: Key, title: str, screen: BaseScreen) -> int:
    """Return 3 for the keys of the screen itself, 2 for those of its parts, 1 for those of all screens."""
    if key.table == GLOBAL[0].table:
        return 1
    return 3 if title == screen.help_sections()[0][0] else 2


def _on_monitor(app: App[Any], action: str) -> None:
    shell = cast("Shell", app)
    shell.action_go("monitor")
    app.call_after_refresh(lambda: do_action(app, app.screen, action))


def elsewhere(app: App[Any], screen: Screen[Any]) -> Iterator[Entry]:
    """Return what a search also finds: the commands of the other screens, and every setting. A key there does it."""
    if not isinstance(screen, BaseScreen):
        return
    shell = cast("Shell", app)
    keymap = shell.session.keymap
    here = {key.name for _, keys in screen.help_sections() for key in keys}
    same = {key.action for _, keys in screen.help_sections() for key in keys} & _SAME
    for _, mode, place in PLACES:
        for key in keymap.keys(SCREEN_KEYS[mode][0][1]):
            if key.name in here or key.action in same or key.action.partition("(")[0] in _MOVES:
                continue
            same |= {key.action} & _SAME
            yield Entry(0, f"{place}: {called(key)}  ({key.display})", key.help, partial(_say_key, shell, mode, key))
    for name in described.known_keys():
        words = name.replace(".", " ").replace("_", " ")
        yield Entry(0, f"Settings: {words}  ({name})", "Go to this setting.", partial(_to_setting, app, name))


def kept(app: App[Any], screen: Screen[Any]) -> Iterator[Entry]:
    """Return the newest runs, and the checkpoints that they recorded, by name: nothing is read for them."""
    if not isinstance(screen, BaseScreen):
        return
    shell = cast("Shell", app)
    for row in shell.session.all_runs()[:_MOST_RUNS]:
        begun = row.state.started
        if begun is None:
            continue
        of = f"step {begun.step} {clean_line(begun.batch, max_chars=40)}"
        yield Entry(0, f"Run: {of}, {row.status}  ({clean_line(row.run)})", "Show this run.",
                    partial(shell.disk.show_run, row))  # fmt: skip
        for name, saved in row.state.checkpoints.items():
            yield Entry(0, f"Checkpoint: {of}, epoch {saved.epoch:g}  ({clean_line(f'{row.run}/{name}')})",
                        "Go to this checkpoint.", partial(_to_checkpoint, app, row.run, name))  # fmt: skip


def _to_checkpoint(app: App[Any], run: str, name: str) -> None:
    cast("Shell", app).action_go("checkpoints")
    app.call_after_refresh(lambda: cast("CheckpointsScreen", app.screen).go_to(run, name))


def _say_key(shell: Shell, mode: str, key: Key) -> None:
    shell.action_go(mode)
    shell.tell(f"{key.display}: {key.help}")


def _to_setting(app: App[Any], name: str) -> None:
    cast("Shell", app).action_go("settings")
    app.call_after_refresh(lambda: cast("SettingsScreen", app.screen).go_to(name))


class KeyCommands(Provider):
    """Gives the palette its entries, in their order: those of the moment when it was opened, made once."""

    def __init__(self, screen: Screen[Any], match_style: Style | None = None) -> None:
        super().__init__(screen, match_style)
        self._made: list[Entry] | None = None
        self._further: list[Entry] | None = None

    def _entries(self) -> list[Entry]:
        if self._made is None:
            choose = cast("Callable[[str], None]", self.app.choose_theme)  # type: ignore[attr-defined]
            self._made = list(entries(self.app, self.screen, choose))
        return self._made

    def _searched(self) -> list[Entry]:
        """Return all that a search looks through."""
        if self._further is None:
            self._further = [*elsewhere(self.app, self.screen), *kept(self.app, self.screen)]
        return [*self._entries(), *self._further]

    async def discover(self) -> Hits:
        """Yield all entries."""
        for at, entry in enumerate(self._entries()):
            yield _hit(entry, Content(entry.title), entry.rank * 1000 - at)

    async def search(self, query: str) -> Hits:
        """Yield the entries that match, those that are possible now before equals."""
        matcher = self.matcher(query)
        for entry in self._searched():
            score = matcher.match(entry.title)
            if score > 0:
                shown = matcher.highlight(entry.title)
                yield _hit(entry, shown, score * (1.5 if entry.rank == 4 else 1.0))


def _hit(entry: Entry, shown: Any, score: float) -> Hit:
    # Textual reads the help as markup
    return Hit(score, shown, entry.do, text=entry.title, help=entry.help.replace("[", "\\["))
