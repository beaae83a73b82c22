"""Every setting of the screen is changed in the way that fits its values: chosen, marked, or typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import msgspec
import pytest
from scenes import make, opened, settle, until
from test_app import text_of
from textual.widgets import Input, OptionList

from opeddev_tui.config import described, loading
from opeddev_tui.config.described import explained
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.setting_dialogs import ChoiceScreen, EditScreen, ManyScreen, parsed, saved_words
from opeddev_tui.ui.screens.settings import SettingsScreen, groups
from opeddev_tui.ui.widgets.grid import Grid

NAMES = described.known_keys()


def kind_of(name: str) -> type[object]:
    """Return the dialog that the type of a setting asks for, told from the type alone."""
    section, key = name.split(".")
    hint = get_args(get_type_hints(described.sections()[section], include_extras=True)[key])[0]
    fixed = (hint is bool, "Literal" in str(hint) and get_origin(hint) is not list, "Literal" in str(hint))
    return ChoiceScreen if fixed[0] or fixed[1] or name == "ui.theme" else ManyScreen if fixed[2] else EditScreen


async def test_every_setting_opens_the_dialog_of_its_kind_and_each_choice_is_told(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        screen = app.screen
        assert isinstance(screen, SettingsScreen)
        rows = {key: at for at, (key, _) in enumerate(screen.query_one(Grid)._filled)}
        seen = []
        for name in NAMES:
            screen.query_one(Grid).move_cursor(row=rows[name])
            await until(pilot, lambda name=name: screen.selected == name)
            screen.action_edit()
            await until(pilot, lambda: app.screen is not screen and app.screen.is_mounted)
            assert type(app.screen) is kind_of(name), name
            seen.append(name)
            if isinstance(app.screen, ChoiceScreen):
                options = app.screen.query_one(OptionList)
                _, choices, _ = explained(*name.split(".", 1))
                told = "\n".join(str(options.get_option_at_index(at).prompt) for at in range(options.option_count))
                assert options.option_count == (len(choices) if name != "ui.theme" else len(app.available_themes))
                assert all(choice.words in " ".join(told.split()) for choice in choices), name
                assert options.size.height > 0
                assert options.region.bottom <= 23
            app.screen.dismiss(None)
            await until(pilot, lambda: app.screen is screen)
        assert seen == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if kind_of(name) in (ChoiceScreen, ManyScreen)])
def test_values_that_do_not_speak_for_themselves_are_explained(name: str) -> None:
    section, key = name.split(".")
    help_text, choices, _ = explained(section, key)
    assert help_text.endswith(".")
    speaks = name == "ui.theme" or {choice.value for choice in choices} == {"true", "false"}
    assert speaks or all(choice.words for choice in choices), name
    whole, _ = described.describe(section, key)
    assert whole.startswith(help_text)
    assert all(choice.words in whole for choice in choices)


def test_every_setting_is_in_a_group_with_a_title() -> None:
    titles = [title for title, _ in groups(loading.resolve([]), "")]
    assert all(title[0].isupper() for title in titles)
    assert not set(titles) & set(described.sections())


async def edited(app: OpeddevApp, pilot: object, name: str) -> None:
    """Open the dialog of a setting by keys."""
    from textual.pilot import Pilot

    assert isinstance(pilot, Pilot)
    await opened(pilot)
    await settle(app, "ready")
    await pilot.press("5", "slash", *name, "enter", "enter")
    await until(pilot, lambda: isinstance(app.screen, ChoiceScreen | EditScreen))


async def test_several_values_are_marked_and_kept_together(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await edited(app, pilot, "tracking.trackers")
        await pilot.press("down", "space", "down", "down", "space", "up", "space", "space")
        await until(pilot, lambda: "[x] wandb" in text_of(app) and "[ ] trackio" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.loaded.settings.tracking.trackers == ["wandb", "mlflow"])
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ManyScreen) and "[x] mlflow" in text_of(app))
        await pilot.press("down", "space", "escape")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        assert app.loaded.settings.tracking.trackers == ["wandb", "mlflow"]


@pytest.mark.parametrize(
    ("name", "typed", "wrong"),
    [
        ("training.num_train_epochs", "0", "at least 1"),
        ("training.learning_rate", "2", "at most 1"),
        ("data.near_duplicate", "nan", "above 0"),
        ("training.seed", "many", "a whole number"),
    ],
)
async def test_a_number_is_typed_and_a_wrong_one_is_refused(tmp_path: Path, name: str, typed: str, wrong: str) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await edited(app, pilot, name)
        app.screen.query_one(Input).value = ""
        await pilot.press(*typed, "enter")
        await until(pilot, lambda: "✗" in text_of(app) and wrong in " ".join(text_of(app).split()))
        assert isinstance(app.screen, EditScreen)
        assert not (tmp_path / ".specs" / "settings.toml").exists()


def test_what_hides_a_saved_setting_is_said() -> None:
    def words(origin: str) -> tuple[str, str]:
        return saved_words(loading.resolve([loading.Layer(origin, {"lora": {"enabled": True}})]), "lora.enabled")

    assert words("/w/.specs/settings.toml") == ("Saved lora.enabled. It takes effect with the next run.", "information")
    assert words("--set") == ("Saved lora.enabled, but --set sets it as well and takes precedence.", "warning")
    assert words("environment OPEDDEV_LORA__ENABLED")[1] == "warning"
    assert msgspec.to_builtins(loading.resolve([]).settings)["lora"]["enabled"] is False


@pytest.mark.parametrize(
    "value",
    [
        [], ["a"], ["a", 'b"c', "d\n"], {"submission": "code", "a b.c": ["x", {"y": 1}]}, 0.1, True, "text", [1.5, [2]],
    ],
)  # fmt: skip
def test_any_value_is_shown_in_one_line_that_can_be_typed_again(value: object) -> None:
    written = described.toml_value(value)
    assert "\n" not in written
    assert parsed(written) == value


@pytest.mark.parametrize("name", ["generation.prompts", "data.columns"])
async def test_a_list_or_a_table_is_opened_as_it_can_be_saved_again(tmp_path: Path, name: str) -> None:
    value: object = ["one", "two"] if name == "generation.prompts" else {"submission": "code"}
    app = make(tmp_path, "ready")
    loading.save(tmp_path, {name: value})
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        app.use_settings(loading.load(tmp_path))
        await edited(app, pilot, name)
        assert parsed(app.screen.query_one(Input).value) == value
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        section, _, key = name.partition(".")
        assert getattr(getattr(loading.load(tmp_path).settings, section), key) == value
