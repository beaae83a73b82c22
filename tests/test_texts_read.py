"""Where grades are read from no text, no view tells a share of texts with a grade, or takes a text for the grader."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import journal_samples as js
import pytest
from msgspec.structs import replace

import opeddev_tui
from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.reports.report import write_report
from opeddev_tui.reports.scalars import scalars
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import notes
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.screens.generations.grade_tables import matrix, measures_text
from opeddev_tui.ui.screens.generations.probe_details import judged
from opeddev_tui.ui.screens.monitor.epochs import epoch_table

Events = list[ev.AnyEvent]
SHARE = re.compile(r"parsed|texts with a grade|\? none|text without a grade|counts as the farthest")
NO_GRADE = re.compile(r"no grade(?! in th(?:e|is) text)")


def graded_by(way: str) -> Events:
    """A run whose grades were read by ``way``, and whose generations have no grade."""
    found: Events = []
    for event in js.run_events(0, [2.0, 1.5, 1.2]):
        if isinstance(event, ev.GradesMeasured):
            from_text = way == "step text"
            predicted = event.predicted if from_text else (1, 2, 3, 4, 5)
            event = replace(event, way=way, predicted=predicted, parsed=0.8 if from_text else 1.0, unread="farthest")
        if isinstance(event, ev.SamplesGenerated):
            event = replace(event, samples=tuple(replace(sample, grade=None) for sample in event.samples))
        found.append(event)
    return found


def _state(events: Events) -> RunState:
    return reduce(events)


def _report(events: Events, folder: Path) -> str:
    workspace = js.make_workspace(folder, [events])
    return "\n".join(path.read_text() for path in write_report(workspace, list_runs(workspace)))


def _terminal(events: Events, _: Path) -> str:
    with ConsoleView(CleanConsole()) as sink:
        for event in events:
            sink.emit(replace(event, at=time.time() + 1))
    return ""


# by name: what a view shows of a run, and whether it has a share of texts where texts grade
VIEWS: dict[str, tuple[Callable[[Events, Path], str], bool]] = {
    "epochs": (lambda events, _: epoch_table(_state(events), 200).plain, True),
    "measures": (lambda events, _: measures_text(None, _state(events).grades[2], 3, 100).plain, True),
    "confusion": (lambda events, _: matrix(_state(events).grades[2], range(1, 6)).plain, True),
    "generations": (lambda events, _: judged(_state(events).samples[-1].samples[0]), False),
    "report": (_report, True),
    "note": (lambda events, _: notes.render(_state(events), 2, "seen", 0.0), False),
    "numbers": (lambda events, _: "\n".join(item.name for item in scalars(events)), True),
    "terminal": (_terminal, False),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("way", ["step tokens", "step head"])
def test_no_view_tells_a_share_of_texts_beside_grades_of_another_way(
    view: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = VIEWS[view][0](graded_by(way), tmp_path) + capsys.readouterr().out
    assert shown
    assert SHARE.findall(shown) == []
    assert NO_GRADE.findall(shown) == []


@pytest.mark.parametrize("view", [name for name, (_, tells) in VIEWS.items() if tells])
def test_where_texts_grade_their_share_is_told(view: str, tmp_path: Path) -> None:
    assert SHARE.search(VIEWS[view][0](graded_by("step text"), tmp_path))


def test_the_share_is_read_in_one_place() -> None:
    package = Path(opeddev_tui.__file__).parent
    sources = [path for path in package.rglob("*") if path.suffix in (".py", ".jinja")]
    assert [path.name for path in sources if re.search(r"\.parsed\b", path.read_text())] == ["grade_events.py"]
