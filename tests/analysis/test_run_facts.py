"""Values of runs by name, and the words that tell several runs apart."""

from __future__ import annotations

from many import AT, events, name_of

from opeddev_tui.analysis.run_facts import KNOWN, differences, facts_of
from opeddev_tui.analysis.run_filter import parse
from opeddev_tui.runs.state import RunState, reduce


def test_a_run_is_known_by_its_settings_and_by_what_it_reached() -> None:
    state = reduce(events(2, AT))
    facts = facts_of(name_of(2), state, "finished", {"training": {"warmup_ratio": 0.1}, "ui": {"theme": "nord"}})
    assert facts.values["learning_rate"] == 2e-4
    assert facts.values["best"] == 3
    assert facts.values["warmup_ratio"] == facts.values["training.warmup_ratio"] == 0.1
    assert "ui.theme" not in facts.values
    assert parse("lr=2e-4 lora exact>0.5 warmup_ratio>0 loss<2", {**KNOWN, **facts.values}).passes(facts)


def test_a_run_of_which_little_is_known_passes_by_its_name() -> None:
    facts = facts_of("20250101-000000-step0-old-beef", RunState(), "interrupted", {})
    assert parse("interrupted old", KNOWN).passes(facts)
    assert not parse("lr<1", KNOWN).passes(facts)


def test_runs_are_told_apart_by_what_differs_and_by_nothing_else() -> None:
    every = [
        facts_of(name_of(number), reduce(events(number, AT, epochs=1)), "finished", {"data": {"max_length": length}})
        for number, length in ((0, 512), (3, 1024))
    ]
    first, second = differences(every)
    assert first == "seed 0 · lora · max length 512"
    assert second == "seed 3 · no lora · max length 1024"


def test_a_run_without_a_manifest_is_not_told_apart_by_settings() -> None:
    state = reduce(events(0, AT, epochs=1))
    every = [facts_of("a", state, "finished", {}), facts_of("b", state, "finished", {"data": {"max_length": 512}})]
    assert differences(every) == ["", ""]
