"""No sentence of the decision bar is cut in the smallest terminal: what has no room is left out whole, behind a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graded
import pytest
import screen_text
from msgspec.structs import replace
from scenes import BATCHES, SCENES, make, opened, settle, until
from textual.pilot import Pilot
from textual.widgets import Static

from opeddev_tui.config import described, loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem
from opeddev_tui.runs import events as ev
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.monitor.decision import DecisionBar
from opeddev_tui.ui.state.data_scan import Scan

MORE = "… i shows all"
WIDTH = 80
# room for words in the one line below a pane that fills the screen, with the key behind them
_ONE_LINE = WIDTH - 4 - len(MORE)
SENTENCE = "Sentence {} of a reason says what happened in words of a usual length. "
NAME = "a_rather/long/place/of/a/model-or-a-folder-with-a-name-that-nobody-would-type"


def words(text: str) -> str:
    return " ".join(text.split())


def seen(app: OpeddevApp) -> str:
    """Return what the bar draws, a blank for each line break."""
    region = app.screen.query_one(DecisionBar).region
    lines = [strip.text for strip in screen_text.strips_of(app.screen)]
    return words(" ".join(lines[region.y : region.bottom]))


def check(app: OpeddevApp, about: object) -> bool:
    """Assert that the bar shows whole sentences only, and a key where there are more; return whether there are."""
    situation, drawn = app.session.shown.situation, seen(app)
    for part in (situation.headline, situation.finding):
        # only what is quoted from a rule of another version can be so long
        assert words(part) in drawn or (MORE in drawn and len(part) > 3 * WIDTH), about
    for offer in situation.offers:
        assert offer.minor or f"{offer.key} {offer.label}" in drawn, about
    shown = words(str(app.screen.query_one("#reasons", Static).content))
    assert shown in drawn, about
    body, more = shown.removesuffix(MORE).rstrip(), shown.endswith(MORE)
    whole = words(" ".join(line for line in situation.lines if line))
    if not more:
        assert body.startswith(whole), about
        return False
    if app.screen.has_class("-grown") and len(re.split(r"(?<=[.!?]) ", whole)[0]) > _ONE_LINE:
        assert not body.endswith("…"), about
        return True
    assert whole.startswith(body), about
    ends = [words(" ".join(situation.lines[: at + 1])) for at in range(len(situation.lines))]
    assert body in ends or body[-1] in ".!?", about
    return True


def others(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield the settings with one after the other changed, each to every choice or to something long."""
    for name in described.known_keys():
        section, _, key = name.partition(".")
        table = getattr(settings, section)
        now = getattr(table, key)
        values: list[Any] = [NAME] if isinstance(now, str) else []
        if isinstance(now, bool):
            values = [not now]
        elif isinstance(now, int | float):
            values = [now * 1000 + 1, now + 1, now / 2]
        values += [choice.strip('"') for choice in described.choices(section, key) if isinstance(now, str)]
        for value in values:
            if allowed(section, key, value):
                yield f"{name}={value}", replace(settings, **{section: replace(table, **{key: value})})


def allowed(section: str, key: str, value: object) -> bool:
    try:
        loading.resolve([loading.Layer("--set", {section: {key: value}})])
    except Problem:
        return False
    return True


async def draw(pilot: Pilot[str], app: OpeddevApp) -> None:
    app.show_now()
    await pilot.pause()


# without a workspace there are no settings; a choice that is on its way is a line of its own
NAMES = [name for name, events in SCENES.items() if events is not None and name != "chosen"]


@pytest.mark.parametrize("name", NAMES)
async def test_no_setting_makes_the_bar_cut_a_sentence(tmp_path: Path, name: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(WIDTH, 24)) as pilot:
        await opened(pilot)
        await settle(app, name)
        loaded = app.session.loaded
        every = [*others(loaded.settings)]
        assert len(every) > 60
        for about, settings in every:
            app.session.loaded = replace(loaded, settings=settings)
            await draw(pilot, app)
            check(app, about)


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_no_reason_is_too_long_for_the_bar(tmp_path: Path, name: str, grown: bool) -> None:
    app, cut = make(tmp_path, name), 0
    async with app.run_test(size=(WIDTH, 24)) as pilot:
        await opened(pilot)
        await settle(app, name)
        if grown:
            await pilot.press("enter")
        for count in range(1, 14):
            text = "".join(SENTENCE.format(at) for at in range(count)).strip()
            say(app, text)
            await draw(pilot, app)
            cut += check(app, count)
    assert cut, "the longest of these texts have no room"


def say(app: OpeddevApp, text: str) -> None:
    """Have everything that the bar takes from outside be ``text``."""
    session = app.session
    state = session.state
    if session.scan is not None:
        base, *later = BATCHES
        session.scan = Scan((replace(base, problem=text), *later)) if not session.current.events else session.scan
    state.warnings[:] = [text]
    state.damage = text
    if state.interrupted is not None:
        state.interrupted = replace(state.interrupted, reason=text)
    if state.failure is not None:
        state.failure = replace(state.failure, message=text)
    if state.question is not None:
        asked = state.question
        state.question = replace(asked, verdict=replace(asked.verdict, reasons=(text,)))
    state.next_step = ev.NextStepChosen(epoch=1, learning_rate=2.5e-5, batch=text[:200], start_from="best")


LONG = "A verdict of an earlier version says in many words which grades count and why others do not. " * 9


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("steps", [1, 2])
async def test_what_comes_next_stays_in_view_beside_the_longest_verdict(
    tmp_path: Path, size: tuple[int, int], steps: int
) -> None:
    runs = [
        [replace(event, verdict=LONG) if isinstance(event, ev.RaceHeld) else event for event in events]
        for events in (graded.raced_step(step, 1000.0 + step) for step in range(steps))
    ]
    app = graded.make(tmp_path, runs)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await until(
            pilot, lambda: app.session.shown.situation.kind == "finished" and bool(app.session.shown.situation.offers)
        )
        for _ in range(2):
            await draw(pilot, app)
            drawn = seen(app)
            wanted = ("Next step",) if steps == 1 else ("All batches are trained.", "7 Grading", "3 Checkpoints")
            assert all(part in drawn for part in wanted), drawn
            await pilot.press("z")
