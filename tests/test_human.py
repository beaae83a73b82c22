"""Blind evaluation: a uniform shuffle, the right names, scores with intervals that hold what they promise."""

from pathlib import Path

import journal_samples as js
import pytest

from opeddev_tui import catalog, checkpoints, human, observations, report_tables
from opeddev_tui import events as ev
from opeddev_tui.history import list_runs
from opeddev_tui.state import RunState, reduce


def made(epoch: int, texts: tuple[str, ...], *, fingerprint: str = "") -> ev.SamplesGenerated:
    shown = tuple(
        ev.Sample(prompt=f"prompt {number}", reference="", text=text, id=f"row-{number}")
        for number, text in enumerate(texts)
    )
    return ev.SamplesGenerated(epoch=epoch, global_step=epoch, fingerprint=fingerprint or f"f{epoch}", samples=shown)


def state_of(*events: ev.AnyEvent) -> RunState:
    return reduce([made(0, ("a", "b", "c")), made(1, ("A", "B", "C")), *events])


def rated(prompt: int, preferred: ev.Preference, *, epoch: int = 1, seed: int = 7) -> ev.Rated:
    left, right = human.sides(seed, prompt)
    return ev.Rated(epoch=epoch, prompt=prompt, left=left, right=right, preferred=preferred, round_seed=seed)


def test_both_orders_are_equally_likely_over_seeds_and_over_prompts() -> None:
    trials = 4000
    by_seed = sum(human.sides(seed, 0)[0] == "now" for seed in range(trials))
    by_prompt = sum(human.sides(1, prompt)[0] == "now" for prompt in range(trials))
    # 4 standard deviations of a fair coin
    for heads in (by_seed, by_prompt):
        assert abs(heads - trials / 2) < 4 * (trials / 4) ** 0.5


def test_neighbouring_prompts_are_shuffled_independently() -> None:
    kinds = [
        (human.sides(seed, prompt)[0], human.sides(seed, prompt + 1)[0]) for seed in range(1000) for prompt in (0, 3)
    ]
    for first in ("now", "before"):
        for second in ("now", "before"):
            assert abs(kinds.count((first, second)) - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5


def test_a_seed_always_gives_the_same_sides_and_they_differ() -> None:
    for prompt in range(20):
        assert human.sides(5, prompt) == human.sides(5, prompt)
        assert set(human.sides(5, prompt)) == {"now", "before"}


def test_an_answer_about_a_side_is_an_answer_about_what_stood_there() -> None:
    assert human.preferred("now", "before", "left") == "now"
    assert human.preferred("now", "before", "right") == "before"
    assert human.preferred("before", "now", "left") == "before"
    assert human.preferred("before", "now", "tie") == "tie"
    assert human.preferred("before", "now", "both bad") == "both bad"


def test_the_texts_stand_where_the_names_say() -> None:
    texts = {"now": ("A", "B", "C"), "before": ("a", "b", "c")}
    for seed in range(20):
        for pair in human.pairs(state_of(), 1, seed):
            assert pair.left_text == texts[pair.left][pair.prompt]
            assert pair.right_text == texts[pair.right][pair.prompt]


def test_prompts_that_only_one_side_answered_are_not_shown() -> None:
    state = reduce([made(0, ("a",)), made(1, ("A", "B"))])
    assert [pair.prompt for pair in human.pairs(state, 1, 0)] == [0]
    assert human.pairs(state, 2, 0) == []
    assert human.pairs(state, 0, 0) == []


def test_the_score_counts_ties_half_and_both_bad_as_a_tie() -> None:
    found = human.score(["now", "now", "before", "tie", "both bad"])
    assert found is not None
    assert (found.rated, found.wins, found.losses, found.ties, found.both_bad) == (5, 2, 1, 1, 1)
    assert found.value == pytest.approx(0.6)
    assert found.interval[0] < 0.6 < found.interval[1]
    assert human.score([]) is None


def test_only_a_complete_round_counts() -> None:
    half = state_of(rated(0, "now"), rated(1, "now"))
    assert human.counted(half) == {}
    assert not human.complete(half, 1)
    assert human.seed_of(half, 1) == 7
    whole = state_of(rated(0, "now"), rated(1, "tie"), rated(2, "before"))
    assert human.counted(whole) == {1: ["now", "tie", "before"]}
    undone = state_of(rated(0, "now"), rated(1, "tie"), rated(2, "before"), ev.RatingUndone(epoch=1, prompt=2))
    assert human.counted(undone) == {}


def test_every_place_that_shows_a_score_counts_only_complete_rounds(tmp_path: Path) -> None:
    ratings = [
        ev.Rated(epoch=epoch, prompt=prompt, left="now", right="before", preferred=preferred, round_seed=1)
        for epoch, prompt, preferred in ((1, 0, "now"), (1, 1, "tie"), (2, 0, "now"))
    ]
    workspace = js.make_workspace(tmp_path, [[*js.run_events(0, [4.0, 2.0, 1.5]), *ratings]])
    for epoch in (1, 2):
        manifest = checkpoints.Manifest(run="run-0", step=0, global_step=epoch, epoch=epoch, parent="", files={})
        folder = checkpoints.folder_for(workspace.checkpoints("run-0"), epoch)
        folder.mkdir(parents=True)
        checkpoints.publish(folder, manifest)
    record = list_runs(workspace)[0]
    assert human.shares(record.state) == {1: 0.75}
    assert {entry.epoch: entry.human for entry in catalog.list_entries(workspace)} == {1: 0.75, 2: None}
    assert report_tables.human([record]).rows == [("0", "1", "0.75", "1", "0", "1", "0")]
    for epoch, told in ((1, True), (2, False)):
        observations.annotate(workspace, "run-0", "words", epoch)
        text = workspace.path(workspace.paths.observations).read_text()
        assert ("human evaluation" in text.rpartition("## Step")[2]) is told


def test_ratings_of_texts_that_are_generated_again_are_forgotten() -> None:
    whole = state_of(rated(0, "now"), rated(1, "tie"), rated(2, "before"))
    whole.apply(ev.Resumed(checkpoint="", global_step=0, epoch=0.0))
    assert whole.ratings == {}
