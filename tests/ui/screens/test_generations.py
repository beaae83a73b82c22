"""The generations screen: any two points side by side, differences marked, the same model never compared unnoticed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from evidence import awaiting, finished, make, notices, samples, showing
from scenes import HOSTILE, opening
from test_app import text_of

from opeddev_tui.config import loading
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.screens.generations.snapshots import Pair, points, same_weights
from opeddev_tui.ui.screens.generations.strip import strip
from opeddev_tui.ui.screens.note import NoteScreen
from opeddev_tui.ui.widgets.code_text import coloured, compared
from opeddev_tui.ui.widgets.text_pane import TextPane

SMALL = (80, 24)


# --- pure parts


def test_points_are_all_generations_of_this_and_earlier_steps() -> None:
    now = time.time()
    first = reduce([*opening(0, now), samples(1, now, step=0)])
    second = reduce([*opening(1, now), samples(1, now), samples(1.5, now, on_demand=True)])
    found = points([first], second)
    assert [point.label for point in found] == [
        "base model",
        "step 0 epoch 1",
        "base model",
        "step 1 epoch 1",
        "step 1 epoch 1.50, asked for",
    ]
    pair = Pair()
    pair.points = found
    assert pair.places() == (2, len(found) - 1)


def test_generations_of_an_epoch_that_was_repeated_stand_once() -> None:
    now = time.time()
    state = reduce([*opening(1, now), samples(1, now), samples(1, now)])
    assert [point.short for point in points([], state)] == ["0", "1"]


def test_texts_that_are_being_written_are_the_newest_point() -> None:
    now = time.time()
    state = reduce([*opening(1, now), samples(0, now)])
    prompts = tuple(sample.prompt for sample in state.samples[-1].samples)
    state.apply(ev.SamplesStreaming(epoch=1, global_step=5, prompts=prompts, texts=("Gra",) * 5, finished=2))
    newest = points([], state)[-1]
    assert newest.writing
    assert newest.label == "being written: 2 of 5 finished"
    assert newest.answer(state.samples[-1].samples[1]).text == "Gra"  # type: ignore[union-attr]
    state.apply(samples(1, now))
    assert not points([], state)[-1].writing


def test_equal_fingerprints_are_said() -> None:
    now = time.time()
    state = reduce([*opening(1, now), samples(1, now, fingerprint="same"), samples(2, now, fingerprint="same")])
    base, one, two = points([], state)
    assert same_weights(base, one) == ""
    assert "a model compared with itself" in same_weights(one, two)
    assert "the same generation" in same_weights(one, one)


def test_differences_have_marks_that_need_no_colour() -> None:
    left, right = compared("Grade: 2\nfine layout", "Grade: 3\nfine and clear layout")
    assert left.plain == "Grade: −‹2›\nfine layout"
    assert right.plain == "Grade: +‹3›\nfine +‹and clear› layout"


def test_in_a_blind_round_the_marks_tell_nothing() -> None:
    left, right = compared("a b", "a c", blind=True)
    mirrored = compared("a c", "a b", blind=True)
    assert (left.plain, right.plain) == ("a ‹b›", "a ‹c›")
    assert [content.spans for content in (right, left)] == [content.spans for content in mirrored]


def test_equal_texts_and_unmarked_ones_are_left_alone() -> None:
    assert compared("a b", "a b")[0].plain == "a b"
    assert compared("a b", "a c", marks=False)[1].plain == "a c"


def test_code_is_coloured_and_nothing_else_changes() -> None:
    text = "Task: x\n\nSubmission:\n<b class='x'>\tone</b>\n\nlast\n"
    content = coloured(text, "html")
    assert content.plain == text.expandtabs(4)
    assert any(span.start >= text.index("<b") for span in content.spans)
    assert not coloured("Only words, no code.").spans
    assert coloured("See:\n```js\nlet a = 1;\n```\nend").spans


def test_hostile_text_loses_its_control_characters_everywhere() -> None:
    for content in (coloured(HOSTILE), *compared(HOSTILE, HOSTILE + " more")):
        assert "\x1b" not in content.plain
        assert "\x07" not in content.plain
        assert "[@click=app.quit]" in content.plain


@pytest.mark.parametrize("width", [30, 80, 200])
@pytest.mark.parametrize("right", [0, 12, 29])
def test_the_strip_fits_and_always_has_the_right_point(width: int, right: int) -> None:
    now = time.time()
    state = reduce([*opening(1, now), *(samples(epoch, now) for epoch in range(1, 30))])
    found = points([], state)
    parts = [content for content, _ in strip(found, 3, right, width)]
    assert sum(part.cell_length + 1 for part in parts) <= width + 1
    assert any(f"R▸{right} " in part.plain for part in parts)


# --- on the screen


async def test_before_and_now_stand_side_by_side_with_their_grades(tmp_path: Path) -> None:
    async with showing(make(tmp_path, awaiting), SMALL) as pilot:
        shown = text_of(pilot.app)  # type: ignore[arg-type]
        for part in ("L▸ before step 1", "R▸ step 1 epoch 3", "grade 2 (-1 from reference)", "grade 3 = reference",
                     "Prompt 1 of 5", "2.7000 → 0.9641", "Grade: −‹2›", "Grade: +‹3›", "1.24*"):  # fmt: skip
            assert part in shown, part


async def test_both_points_move_by_keys_and_the_same_weights_are_said(tmp_path: Path) -> None:
    async with showing(make(tmp_path, awaiting), SMALL) as pilot:
        app = pilot.app
        await pilot.press("{")
        await pilot.pause()
        assert "L▸ step 0 epoch 3" in text_of(app)  # type: ignore[arg-type]
        assert "compared with itself" not in text_of(app)  # type: ignore[arg-type]
        await pilot.press("[", "[", "[", "[")
        await pilot.pause()
        shown = text_of(app)  # type: ignore[arg-type]
        assert "R▸ before step 1" in shown
        assert "Same weights on both sides" in shown
        await pilot.press("0")
        await pilot.pause()
        assert "L▸ base model" in text_of(app)  # type: ignore[arg-type]
        await pilot.press("0", "]", "]")
        await pilot.pause()
        shown = text_of(app)  # type: ignore[arg-type]
        assert "L▸ before step 1" in shown
        assert "R▸ step 1 epoch 1.24" in shown


async def test_own_prompts_have_no_reference(tmp_path: Path) -> None:
    async with showing(make(tmp_path, awaiting), SMALL, ("2", "p")) as pilot:
        shown = text_of(pilot.app)  # type: ignore[arg-type]
        assert "Prompt 5 of 5 · your own" in shown
        assert "None: this is a prompt" in shown


async def test_both_sides_scroll_together(tmp_path: Path) -> None:
    def long(at: float) -> list[ev.AnyEvent]:
        lines = "\n".join(f"line {number}" for number in range(100))
        made = [
            ev.SamplesGenerated(
                at=at, epoch=epoch, global_step=epoch, fingerprint=f"f{epoch}",
                samples=(ev.Sample(prompt="p", reference="r", text=f"{epoch}\n{lines}"),),
            )
            for epoch in (0, 1)
        ]  # fmt: skip
        return [next(iter(opening(1, at))), *made]

    async with showing(make(tmp_path, long), SMALL) as pilot:
        left, right = (pilot.app.screen.query_one(f"#{name}", TextPane) for name in ("left", "right"))
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert left.scroll_y == right.scroll_y == 6
        left.scroll_to(y=20, animate=False)
        await pilot.pause()
        assert right.scroll_y == 20


async def test_a_text_grows_and_shrinks(tmp_path: Path) -> None:
    async with showing(make(tmp_path, awaiting), SMALL, ("2", "enter")) as pilot:
        assert "Submission:" not in text_of(pilot.app)  # type: ignore[arg-type]
        await pilot.press("escape")
        await pilot.pause()
        assert "Prompt holdout-000" in text_of(pilot.app)  # type: ignore[arg-type]


async def test_an_observation_and_an_own_prompt_are_written(tmp_path: Path) -> None:
    app = make(tmp_path, finished)
    async with showing(app, SMALL, ("2", "o")) as pilot:
        assert isinstance(app.screen, NoteScreen)
        await pilot.press("g", "o", "o", "d", "ctrl+e", "ctrl+s")
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "record"])
        await pilot.pause()
        text = (tmp_path / "logs/observations.md").read_text()
        assert text.rstrip().endswith("good")
        assert [note.note for note in app.session.state.notes] == ["good"]
        await pilot.press("a", "w", "h", "y", "ctrl+s")
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "save"])
        assert app.loaded.settings.generation.prompts == ["why"]
        await pilot.press("o", "x", "escape")
        await pilot.pause()
        assert "x" not in (tmp_path / "logs/observations.md").read_text().rsplit("good")[-1]


async def test_a_prompt_is_pinned_for_the_next_steps_and_unpinned(tmp_path: Path) -> None:
    app = make(tmp_path, awaiting)

    async def pressed(*keys: str) -> str:
        await pilot.press(*keys)
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "save"])
        await pilot.pause()
        return text_of(app)

    def saved() -> list[str]:
        # as the next training reads it
        return loading.load(tmp_path, environment={}).settings.generation.probes

    async with showing(app, SMALL) as pilot:
        assert "pinned" not in text_of(app)
        assert "Prompt 1 of 5 · pinned" in await pressed("f")
        assert saved() == ["holdout-000"]
        assert "Prompt 2 of 5 · pinned" in await pressed("j", "f")
        assert saved() == ["holdout-000", "holdout-001"]
        assert "Prompt 3 of 5 · hold-out" in await pressed("j")
        assert "Prompt 1 of 5 · pinned" in await pressed("k", "k")
        assert "Prompt 1 of 5 · hold-out" in await pressed("f")
        assert saved() == ["holdout-001"]
        # a person's own prompt is there anyway
        assert "your own" in await pressed("k", "f")
        assert "always generated" in notices(app)
        assert saved() == ["holdout-001"]


async def test_a_pin_that_another_source_overrules_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPEDDEV_GENERATION__PROBES", '["holdout-003"]')
    app = make(tmp_path, awaiting)
    async with showing(app, SMALL) as pilot:
        await pilot.press("f")
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "save"])
        await pilot.pause()
        assert app.loaded.settings.generation.probes == ["holdout-003"]
        assert "environment OPEDDEV_GENERATION__PROBES" in notices(app)


async def test_nothing_is_pinned_where_nothing_can_be_saved(tmp_path: Path) -> None:
    app = make(tmp_path, awaiting)
    async with showing(app, SMALL) as pilot:
        app.session.read_only = True
        await pilot.press("f")
        await pilot.pause()
        assert not (tmp_path / loading.SAVED_NAME).exists()
        assert "read only" in notices(app)
