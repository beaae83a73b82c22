"""Cheap ways beside recorded grades: what the journal has, under the name that it had, and the best of them."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from opeddev_tui.runs.cheap_ways import cheap_ways, fitted_ways, to_beat
from opeddev_tui.runs.grade_events import GradesMeasured
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import reduce

OLD = Path(__file__).parent.parent / "fixtures/workspace_0_1/workspace/logs/runs"
NOW = GradesMeasured(
    epoch=1, predicted=(3, 3), reference=(3, 4), parsed=1.0, exact=0.5, within_one=1.0, mean_absolute_error=0.5,
    kappa=0.0, majority_exact=0.3, middle_within_one=0.6, way="step tokens",
    n_grams={"exact": Figure(0.4, 0.3, 0.5), "within_one": Figure(0.5), "kappa": Figure(0.2), "mae": Figure(1.0)},
)  # fmt: skip


def test_todays_journals_have_the_n_gram_grader() -> None:
    assert [way.words for way in cheap_ways(NOW)] == ["the commonest grade", "the middle grade", "the n-gram grader"]
    assert fitted_ways(NOW)[0].figures == NOW.n_grams


@pytest.mark.parametrize("folder", sorted(OLD.iterdir()), ids=lambda path: path.name)
def test_a_journal_of_version_0_1_has_a_text_classifier_and_never_the_n_gram_grader(folder: Path) -> None:
    state = reduce(read(folder))
    assert state.grades
    for measured in state.grades.values():
        (rival,) = fitted_ways(measured)
        assert rival.words == "a text classifier"
        assert rival.figures == {"exact": Figure(measured.classifier_exact)}


def test_where_nothing_can_be_fitted_the_two_constants_are_left() -> None:
    alone = replace(NOW, n_grams={})
    assert fitted_ways(alone) == []
    assert [way.short for way in cheap_ways(alone)] == ["commonest", "middle"]


@pytest.mark.parametrize(
    ("figure", "short", "value"), [("exact", "n-grams", 0.4), ("within_one", "middle", 0.6), ("kappa", "n-grams", 0.2)]
)
def test_the_best_cheap_way_is_to_be_beaten(figure: str, short: str, value: float) -> None:
    found = to_beat(NOW, figure)
    assert (found.way.short, found.value) == (short, value)


def test_a_cheap_way_that_only_guesses_is_no_worse_than_a_constant() -> None:
    guessing = replace(NOW, n_grams={"exact": Figure(0.1), "kappa": Figure(-0.3)})
    assert to_beat(guessing).way.short == "commonest"
    assert to_beat(guessing, "kappa").value == 0
