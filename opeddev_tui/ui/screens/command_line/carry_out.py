"""Carry out a typed command by what keys and screens do as well; what cannot be done is said under the line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from textual.app import App

from opeddev_tui.config import described, loading
from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.errors import Problem, SettingsProblem
from opeddev_tui.runs.control import Adjust, StepRequest
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keymap import keymap_of
from opeddev_tui.ui.keys import GLOBAL, PLACES, SCREEN_KEYS, Key
from opeddev_tui.ui.screens.base import BaseScreen, do_action
from opeddev_tui.ui.screens.command_line.screen import CommandLine
from opeddev_tui.ui.screens.command_line.typed import Known, explained, setting_named, unknown_command
from opeddev_tui.ui.screens.monitor.more import rate_of
from opeddev_tui.ui.screens.note import keep_observation
from opeddev_tui.ui.screens.setting_dialogs import parsed, saved_words
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.lists import ListTasks

# what there is of a key in another screen's table than the one on show
_Place = tuple[str, Key]


class Context(Struct, frozen=True):
    """What a command may use: the app, the screen below the line, and the line itself."""

    shell: Shell
    app: App[Any]
    screen: BaseScreen
    known: Known
    line: CommandLine


def open_line(shell: Shell, app: App[Any], screen: BaseScreen) -> None:
    """Open the line over ``screen``."""
    known = known_now(shell, app, screen)

    def carry_out(line: CommandLine, typed: str) -> None:
        name, _, rest = typed.partition(" ")
        context = Context(shell, app, screen, known, line)
        try:
            _HANDLERS.get(name, partial(_key_action, name=name))(context, rest.strip())
        except Problem as problem:
            line.refuse(str(problem))

    shell.push_screen(CommandLine(known, shell.session.typed, carry_out))


def known_now(shell: Shell, app: App[Any], screen: BaseScreen) -> Known:
    """Return the names that can be completed now."""
    view, settings = shell.session.view(), shell.loaded.settings
    tables = msgspec.to_builtins(settings)
    numbers = [str(batch.number) for batch in view.batches]
    return Known(
        themes=tuple(sorted(app.available_themes)),
        runs=tuple(row.run for row in shell.session.all_runs()),
        steps=("next", "all", *numbers, *(f"{number} new" for number in numbers)),
        batches=tuple(batch.name for batch in view.batches if batch.state in ("next", "waiting")),
        screens=tuple(mode for _, mode, _ in PLACES),
        panes=tuple(str(at) for at, _ in enumerate(screen.panes, 1)),
        actions={name: key.help for name, (_, key) in _actions(screen).items()},
        lora=settings.lora.enabled,
        values={f"{section}.{key}": described.toml_value(value)
                for section, table in tables.items() for key, value in table.items()},
    )  # fmt: skip


def _actions(screen: BaseScreen) -> Mapping[str, _Place]:
    """Return what keys do, by name: those of this screen by their short names, those of others by their full ones."""
    found: dict[str, _Place] = {}
    for keys in (*(keys for _, keys in SCREEN_KEYS[screen.mode]), GLOBAL):
        for key in keys:
            if key.action not in ("app.command_line", "app.command_palette"):
                found.setdefault(key.name.partition(".")[2], ("", key))
    modes = [mode for _, mode, _ in PLACES]
    for mode in modes:
        if mode != screen.mode:
            found |= {key.name: (mode, key) for key in SCREEN_KEYS[mode][0][1]}
    return found


def _key_action(context: Context, rest: str, name: str) -> None:
    """Do what a key does, on the screen that has the key."""
    place = _actions(context.screen).get(name)
    if place is None:
        context.line.refuse(unknown_command(name, context.known))
        return
    if rest:
        context.line.refuse(f"{name} takes nothing after it.")
        return
    mode, key = place
    context.line.done()

    def do() -> None:
        if mode:
            context.shell.action_go(mode)
        context.app.call_after_refresh(lambda: do_action(context.app, context.app.screen, key.action))

    context.app.call_later(do)


def _set(context: Context, rest: str) -> None:
    name, equals, value = rest.partition("=")
    if not equals:
        name, _, value = rest.partition(" ")
    full = setting_named(name.strip(), lora=context.known.lora)
    if not value.strip():
        context.line.refuse(f"give it a value: set {name.strip()}=… {explained(f'set {full}', context.known)}")
        return
    _save(context, full, parsed(value.strip()))


def _unset(context: Context, rest: str) -> None:
    _save(context, setting_named(rest, lora=context.known.lora), None)


def _save(context: Context, name: str, value: Any) -> None:
    _needs_a_workspace(context)

    def saved() -> None:
        gone = f"{name} is no longer set by the app."
        context.line.done(gone if value is None else saved_words(context.shell.loaded, name)[0])

    def failed(reason: str) -> None:
        """Say what is wrong with the value; that it would be written to the app's own file is no matter here."""
        context.line.refuse(reason.rpartition(f"{loading.SAVED_NAME}: ")[2])

    context.shell.disk.save_settings({name: value}, failed=failed, saved=saved)


def _needs_a_workspace(context: Context) -> None:
    session = context.shell.session
    if not session.has_workspace or session.read_only:
        raise SettingsProblem("there is no workspace, or it is read only: nothing can be saved.")


def _step(context: Context, rest: str) -> None:
    session = context.shell.session
    which, _, new = rest.partition(" ")
    batches = {str(batch.number): batch for batch in session.view().batches}
    if session.read_only or not session.has_workspace:
        reason = "This is read only, or no workspace: nothing can be trained."
    elif context.shell.live.running or session.trained_by != "none":
        reason = "A training is running: it must end first."
    elif new not in ("", "new") or (which not in ("next", "all") and which not in batches):
        there = ", ".join(("next", "all", *batches))
        reason = f"There is no step {clean_line(rest) or 'without a number'}. There are: {there}."
    elif which in batches and batches[which].state.startswith("trained") and not new:
        reason = f"Step {which} is trained already. To train it again as a new run: step {which} new."
    else:
        context.line.done()
        context.app.call_later(context.shell.start_training, StepRequest(which=which, new=bool(new)))
        context.app.call_later(context.shell.action_go, "monitor")
        return
    context.line.refuse(reason)


def _theme(context: Context, rest: str) -> None:
    if rest not in context.known.themes:
        raise SettingsProblem(f"there is no theme {clean_line(rest) or 'without a name'}.", cure="Tab shows all.")
    context.app.theme = rest
    context.line.done(f"Theme {rest}.")


def _note(context: Context, rest: str) -> None:
    session = context.shell.session
    if session.state.started is None or session.read_only:
        context.line.refuse("There is no run to write about, or this is read only.")
    elif not rest:
        context.line.refuse("Write the note after the word: note the layout answers became shorter.")
    else:
        context.line.done()
        epoch = max(session.state.epochs, default=0)
        context.app.call_later(keep_observation, context.shell, session.run, epoch, rest)


def _decide(context: Context, rest: str, choice: str) -> None:
    session = context.shell.session
    taken = session.decide("continue" if choice == "continue" else "stop", note=rest)
    if not taken and choice == "stop" and not rest:
        taken = session.stop_now()
    if taken:
        context.line.done()
        context.shell.show_now()
    else:
        context.line.refuse("No question is open that this would answer.")


def _next(context: Context, rest: str) -> None:
    name, _, value = rest.partition("=")
    name, value = name.strip(), value.strip()
    if name in ("learning_rate", "lr"):
        found = rate_of(value)
        if isinstance(found, str):
            context.line.refuse(found)
            return
        _adjust(context, learning_rate=found)
    elif name == "batch" and value in context.known.batches:
        _adjust(context, batch=value)
    elif name == "batch":
        there = ", ".join(context.known.batches) or "none"
        context.line.refuse(f"{clean_line(value) or 'Nothing'} is no batch that waits. There are: {clean_line(there)}.")
    else:
        context.line.refuse("Write next learning_rate=5e-6, or next batch=batch_100_02.")


def _adjust(context: Context, **chosen: Any) -> None:
    question = context.shell.session.current.question
    if question is None or not context.shell.session.adjust(Adjust(epoch=question.epoch, **chosen)):
        context.line.refuse("No question is open: this can be chosen while a training waits for your decision.")
        return
    context.line.done()
    context.shell.show_now()


def _best(context: Context, rest: str) -> None:  # noqa: ARG001 - the same shape as the others
    session = context.shell.session
    best = session.current.best_epoch()
    words = f"Stop: the step's result is epoch {best}, the best"
    if session.decide("stop", result="best", words=words):
        context.line.done()
        context.shell.show_now()
    else:
        context.line.refuse("No question is open that this would answer.")


def _run(context: Context, rest: str) -> None:
    row = next((row for row in context.shell.session.all_runs() if row.run == rest), None)
    if row is None:
        context.line.refuse(f"There is no run {clean_line(rest) or 'without a name'}. Tab shows all.")
        return
    context.line.done()
    context.app.call_later(context.shell.disk.show_run, row)


def _go(context: Context, rest: str) -> None:
    found = [mode for mode in context.known.screens if rest and mode.startswith(rest.lower())]
    if len(found) != 1:
        context.line.refuse(f"There is no screen {clean_line(rest)}. There are: {', '.join(context.known.screens)}.")
        return
    context.line.done()
    context.app.call_later(context.shell.action_go, found[0])


def _write(context: Context, rest: str) -> None:
    _needs_a_workspace(context)
    listed = context.screen.listed()
    if listed is None:
        context.line.refuse("There is no list on this screen.")
    elif not rest:
        context.line.refuse("Write the file after the word: write lists/rows.csv.")
    else:
        ListTasks(context.shell).write(rest, listed, context.line.done, context.line.refuse)


def _pane(context: Context, rest: str) -> None:
    names = context.screen.panes
    at = int(rest) - 1 if rest.isdecimal() else -1
    if not 0 <= at < len(names):
        context.line.refuse(f"There is no pane {clean_line(rest)} here. There are: {', '.join(context.known.panes)}.")
        return
    context.line.done()
    context.app.call_later(context.screen.go_to_pane, names[at])


def _key(context: Context, rest: str) -> None:
    _needs_a_workspace(context)
    name, *keys = rest.split()
    if not keys:
        context.line.refuse("Write the action and its key: key monitor.continue Y.")
        return
    before = context.shell.loaded.keys
    chosen = keymap_of({**before, name: OwnKeys(tuple(keys), "this line")})
    now = chosen.own.get(name) or tuple(keys)
    told = f"{name} has the key {' '.join(keys)} now."
    context.shell.disk.save_settings(
        {f"keys.{name}": list(now)}, failed=context.line.refuse, saved=lambda: context.line.done(told)
    )


def _app_action(context: Context, rest: str, action: str) -> None:  # noqa: ARG001 - the same shape as the others
    context.line.done()
    context.app.call_later(lambda: do_action(context.app, context.screen, action))


_HANDLERS: Mapping[str, Callable[[Context, str], None]] = {
    "set": _set,
    "unset": _unset,
    "step": _step,
    "theme": _theme,
    "note": _note,
    "continue": partial(_decide, choice="continue"),
    "stop": partial(_decide, choice="stop"),
    "next": _next,
    "rule": lambda context, _: _adjust(context, policy="rule"),
    "best": _best,
    "run": _run,
    "write": _write,
    "go": _go,
    "pane": _pane,
    "key": _key,
    "help": partial(_app_action, action="app.help"),
    "quit": partial(_app_action, action="app.leave"),
}
