"""The history of the machine: every GPU by its UUID, least and most, at every size; old journals too."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from machines import readings
from msgspec.structs import replace
from scenes import hardware, make, opened, settle, until
from test_app import text_of

from opeddev_tui.format import area, means
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.screens.monitor import machine
from opeddev_tui.ui.screens.monitor.machine import MachinePane
from opeddev_tui.ui.screens.monitor.metrics import _machine_in_short
from opeddev_tui.ui.screens.monitor.screen import MonitorScreen

AT = 1_700_000_000.0


def test_every_gpu_has_a_history_of_its_own_by_uuid() -> None:
    state = reduce(readings(AT, 30, 3))
    assert list(state.machine.gpus) == ["GPU-0000beef-0000", "GPU-0001beef-0000", "GPU-0002beef-0000"]
    second = state.machine.gpus["GPU-0001beef-0000"]
    assert len(second.percent) == len(second.memory) == len(state.machine.cpu) == 30
    assert second.newest.celsius == 61.0
    assert second.percent[0] == pytest.approx(55.0)


def test_a_run_of_version_0_1_that_is_resumed_goes_on_with_the_same_gpu() -> None:
    state = reduce([hardware(AT), *readings(AT + 5, 2, 1)])
    assert list(state.machine.gpus) == ["GPU-0000beef-0000"]
    assert list(state.machine.gpus["GPU-0000beef-0000"].percent) == [91.0, 100.0, 100.0]
    assert list(reduce([hardware(AT)]).machine.gpus) == ["GPU 0"]


def test_means_of_parts_leave_out_what_is_not_known() -> None:
    assert means([1.0, 3.0, 5.0, math.nan], 2) == [2.0, 5.0]
    assert means([1.0], 5) == [1.0]
    assert math.isnan(means([math.nan] * 4, 2)[0])


def test_an_area_is_as_high_as_its_values_and_only_its_edge_is_solid() -> None:
    assert area([0.0, 50.0, 100.0], 100.0, 4, 2) == ["   █", " ▁█░"]
    assert area([math.nan, 100.0], 100.0, 2, 1) == [" █"]
    assert area([], 100.0, 3, 2) == ["   ", "   "]
    assert area([5.0], 0.0, 1, 1) == [" "]


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_a_graph_has_the_whole_width_however_few_readings_there_are(count: int) -> None:
    reading = machine._Reading("use", [100.0] * (count - 1) + [10.0], 100.0, "10 %", "$plot-train")
    _, *drawn = machine._graph(reading, 20, 4)
    assert drawn[-1].plain.count(" ") == 0
    # the newest reading, which is low, is at the right
    assert drawn[0].plain.endswith(" ")
    assert (drawn[0].plain[0] != " ") is (count > 1)


@pytest.mark.parametrize(("size", "gpus"), [((80, 24), 2), ((120, 40), 2), ((200, 60), 8), ((80, 24), 0)])
async def test_the_machine_is_shown_at_every_size(tmp_path: Path, size: tuple[int, int], gpus: int) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "training")
        app.session.current.machine = RunState().machine
        app.session.apply(list(readings(AT, 60, gpus)))
        app.show_now()
        await pilot.press("M")
        await until(pilot, lambda: "60 readings over 4 min 55 s" in text_of(app))
        for card in range(min(gpus, 4)):
            assert f"GPU {card} · NVIDIA H100" in text_of(app)
        pane = app.screen.query_one(MachinePane)
        assert "5 to 95%" in pane.plain_text() or "CPU" in pane.plain_text()
        assert "20.0 to 28.0 GiB" in pane.plain_text()
        await pilot.press("M")
        await until(pilot, lambda: not app.screen.has_class("-grown"))
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        assert screen.focused is not None
        assert screen.focused.display


async def test_before_the_first_reading_the_pane_says_when_it_comes(tmp_path: Path) -> None:
    app = make(tmp_path, "starting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("M")
        await until(pilot, lambda: "The machine is read every few seconds" in text_of(app))


@pytest.mark.parametrize(("count", "memory"), [(3, 41 * 2**30), (1, 2**30), (2, None)])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_other_processes_on_a_gpu_are_told_where_its_memory_is(
    tmp_path: Path, size: tuple[int, int], count: int, memory: int | None
) -> None:
    words = {
        3: "3 other processes hold 41.0 GiB",
        1: "1 other process holds 1.0 GiB",
        2: "2 other processes hold memory",
    }
    app = make(tmp_path, "training")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "training")
        app.session.current.machine = RunState().machine
        (sample,) = readings(AT, 1, 1)
        shared = replace(sample.gpus[0], others=count, others_memory=memory)
        app.session.apply([replace(sample, gpus=(shared,))])
        app.show_now()
        await until(pilot, lambda: words[count] in text_of(app))
        await pilot.press("M")
        pane = app.screen.query_one(MachinePane)
        await until(pilot, lambda: app.focused is pane and words[count] in pane.plain_text())


def test_many_gpus_tell_of_other_processes_in_one_line() -> None:
    (sample,) = readings(AT, 1, 8)
    gpus = tuple(replace(gpu, others=gpu.index % 2, others_memory=2**30) for gpu in sample.gpus)
    shown = "\n".join(line.plain for line in _machine_in_short(replace(sample, gpus=gpus), 60))
    assert shown.count("other") == 1
    assert "4 other processes hold 4.0 GiB" in shown
    alone = [line.plain for line in _machine_in_short(sample, 60)]
    assert not any("other" in line for line in alone)
