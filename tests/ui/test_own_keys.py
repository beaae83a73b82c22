"""Keys of one's own: what is refused, and that they are pressed and shown everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import screen_text
from scenes import make, opened, settle, until

from opeddev_tui.config import loading
from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.errors import Problems
from opeddev_tui.ui import keys
from opeddev_tui.ui.key_rows import Key
from opeddev_tui.ui.keymap import DEFAULT_KEYS, keymap_of, names, normalised
from opeddev_tui.ui.palette import entries

PACKAGE = Path(__file__).parent.parent.parent / "opeddev_tui"


def own(**chosen: str | list[str]) -> dict[str, OwnKeys]:
    """Return keys as they are read from [keys]; "_" stands for the dot."""
    return {
        name.replace("_", ".", 1): OwnKeys(tuple([value] if isinstance(value, str) else value), "config.toml")
        for name, value in chosen.items()
    }


@pytest.mark.parametrize(
    ("typed", "key"),
    [("?", "question_mark"), ("Ctrl+E", "ctrl+e"), ("^e", "ctrl+e"), ("esc", "escape"), ("shift+a", "A"), ("F5", "f5"),
     ("alt+1", "alt+1"), ("+", "plus"), ("ctrl++", "ctrl+plus"), ("/", "slash"), (" ", "space"), ("ä", "ä"),
     ("pgdn", "pagedown"), ("Shift+Tab", "shift+tab"), ("entr", ""), ("::", ""), ("hyper+x", ""), ("", "")],
)  # fmt: skip
def test_a_key_is_read_as_people_write_it(typed: str, key: str) -> None:
    assert normalised(typed) == key


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (own(contine="Y"), "no action contine. Did you mean monitor.continue?"),
        (own(monitor_sample="Y"), "Did you mean monitor.sample-now?"),
        (own(undo="Y"), "undo names several actions: monitor.undo, blind.undo"),
        (own(log_raw="entr"), "'entr' is no key. Did you mean enter?"),
        (own(log_raw="ctrl+c"), "ctrl+c cannot be used: it must stay"),
        (own(log_raw="ctrl+m"), "a terminal sends the same for enter"),
        (own(monitor_continue="s"), "s would be both monitor.continue and monitor.stop"),
        (own(monitor_continue="y"), "y would be both monitor.continue and everywhere.copy"),
        (own(everywhere_quit="c"), "c would be both"),
        (own(curves_values="h"), "h would be both"),
        (own(monitor_continue="J", monitor_stop="J"), "J would be both monitor.continue and monitor.stop"),
    ],
)
def test_keys_that_cannot_stand_are_refused_with_place_and_cure(chosen: dict[str, OwnKeys], told: str) -> None:
    with pytest.raises(Problems, match=r"config.toml, \[keys\]") as raised:
        keymap_of(chosen)
    assert told in str(raised.value)


def test_two_actions_may_change_places() -> None:
    keymap = keymap_of(own(monitor_continue="s", monitor_stop="c"))
    assert (keymap.first("monitor.continue"), keymap.first("monitor.stop")) == ("s", "c")


@pytest.mark.parametrize("value", [[], "", 12, True, ["a", 1.5], {"x": {"y": "z"}}])
def test_a_wrong_form_is_refused_when_settings_are_read(value: object) -> None:
    with pytest.raises(Problems, match="It takes a key or a list of keys"):
        loading.resolve([loading.Layer("config.toml", {"keys": {"monitor": {"continue": value}}})])


def test_every_action_has_a_name_of_its_own_and_every_table_is_known() -> None:
    assert len(names()) == len(set(names())) == sum(len(table) for table in keys.TABLES.values())
    tables = [
        value for value in vars(keys).values() if isinstance(value, tuple) and value and isinstance(value[0], Key)
    ]
    assert all(table in keys.TABLES.values() for table in tables)
    assert all(key.table for table in tables for key in table)


def test_every_action_that_a_text_names_exists() -> None:
    found = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"\{([a-z]+\.[a-z0-9-]+)\}", path.read_text())
        if name.partition(".")[0] in keys.TABLES
    }
    # what an f-string fills in is not an action: values of settings, of a note
    unknown = (
        found
        - set(names())
        - {"grading.minimum", "grading.maximum", "grading.loss", "note.epoch", "table.metric", "grader.words"}
    )
    assert len(found) > 15
    assert unknown == set()


def test_every_action_is_shown_with_its_key_and_no_text_of_a_table_names_one_that_may_change() -> None:
    """All actions at once: each gets a key that no other has, and all that a table says names those."""
    chars = iter(chr(code) for code in range(0x3B1, 0x3B1 + 400) if chr(code).isalnum())
    keymap = keymap_of({name: OwnKeys((next(chars),), "t") for name in names()})
    for table in keys.TABLES.values():
        for key in keymap.keys(table):
            assert key.display == keymap.own[key.name][0] == keymap.first(key.name)
            assert "{" not in key.help


async def test_the_person_s_keys_are_pressed_and_shown_everywhere(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        chosen = own(monitor_continue="Y", everywhere_help="H", everywhere_log="f6", monitor_stop="f5")
        app.use_settings(loading.LoadedSettings(app.loaded.settings, {}, chosen))
        await pilot.pause()
        shown = screen_text.text_of(app.screen)
        assert all(text in shown for text in ("Y  Continue", "F5  Stop", "F6 Log", "H Help"))
        assert "H explains the words" in shown
        titles = [entry.title for entry in entries(app, app.screen, app.choose_theme)]
        assert titles[:2] == ["Continue  (Y)", "Stop  (F5)"]
        await pilot.press("f6")
        await until(pilot, lambda: app.current_mode == "log")
        await pilot.press("4")
        assert app.current_mode == "log"
        await pilot.press("H")
        await pilot.pause()
        help_text = screen_text.text_of(app.screen)
        assert "F6          Go to Log." in help_text
        await pilot.press("escape", "1")


async def test_wrong_keys_in_an_open_app_are_told_and_change_nothing(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        before = app.session.keymap
        app.use_settings(loading.LoadedSettings(app.loaded.settings, {}, own(monitor_continue="ctrl+c")))
        await pilot.pause()
        assert app.session.keymap is before
        assert app.loaded.keys == {}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_pane_is_reached_by_the_number_in_its_title(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        for at, name in enumerate(app.screen.panes, 1):  # type: ignore[attr-defined]
            await pilot.press(f"alt+{at}")
            await pilot.pause()
            pane = app.screen.query_one(f"#{name}")
            assert app.focused is pane
            assert pane.region.width > 0
            assert f"[{at}]" in screen_text.text_of(app.screen)


def test_the_default_keymap_changes_nothing() -> None:
    assert DEFAULT_KEYS.changes() == {}
    assert DEFAULT_KEYS.text("no {such.action} here") == "no {such.action} here"
