"""The model card of an export: every figure has its interval, and beside it stands what has to be beaten."""

from pathlib import Path

import pytest
from exporting_helpers import Trained
from msgspec.structs import replace

from opeddev_tui.config.settings import Export
from opeddev_tui.exporting import folder as folders
from opeddev_tui.exporting.folder import Form, export
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.history import read_run


def card_of(source: Trained, target: Path, way: str = "") -> str:
    exported = export(source.workspace, source.entry, source.settings, target, Form(way=way))
    return (exported.folder / "README.md").read_text()


def test_the_card_has_figures_with_intervals_the_holdout_and_the_licence(full: Trained, tmp_path: Path) -> None:
    settings = replace(full.settings, export=Export(license="apache-2.0"))
    card = (export(full.workspace, full.entry, settings, tmp_path / "out").folder / "README.md").read_text()
    for words in (
        'license: "apache-2.0"',
        "10 rows that were never trained on, 10 of them graded; SHA-256 of the hold-out: `",
        "| the head on the step's model | ",
        "In brackets: 95% intervals.",
        "## Limits",
        "30 rows",
        "vllm serve .",
        "convert_hf_to_gguf.py . --outfile grader.gguf --outtype bf16",
        "| `grader.json` |",
    ):
        assert words in card, words


def figures_of(card: str) -> dict[str, list[str]]:
    """Return the card's table of figures: the cells by way."""
    begin = card.index("| grades by |")
    lines = card[begin : card.index("\n\n", begin)].splitlines()[2:]
    return {line.strip("| ").split(" | ")[0]: line.strip("| ").split(" | ")[1:] for line in lines}


def test_the_card_has_what_must_be_beaten_with_the_races_figures(full: Trained, tmp_path: Path) -> None:
    (race,) = read_run(full.workspace, full.entry.run).state.races.values()
    found = figures_of(card_of(full, tmp_path / "out"))
    assert list(found)[-3:] == [f"{way.words}, without a language model" for way in race.ways if way.cheap]
    assert len(found) == len(race.ways)
    for way in race.ways:
        cells = found[f"{way.words}, without a language model" if way.cheap else way.words]
        shown = [way.figures[name].value for name in ("kappa", "exact", "within_one", "mae")]
        assert [float(cell.split()[0]) for cell in cells] == pytest.approx(shown, abs=0.006)


def test_the_card_has_what_was_measured_of_its_grades_beside_what_a_set_promises(full: Trained, tmp_path: Path) -> None:
    exported = export(full.workspace, full.entry, full.settings, tmp_path / "out")
    card = (exported.folder / "README.md").read_text()
    assert exported.measured is not None
    (line,) = [line for line in card.splitlines() if "9 times out of 10" in line]
    assert all(words in line for words in exported.measured.words)
    assert "On 10 hold-out rows " in line


NOT_BEATEN = "which needs no language model, is not beaten"
KAPPAS = "its kappa is {}, that of the head on the step's model {}."


@pytest.mark.parametrize(
    ("cheap", "own", "told"),
    [
        (0.3, 0.2, f"The n-gram grader, {NOT_BEATEN}: {KAPPAS.format('0.30', '0.20')}"),
        (0.3, 0.3, f"The n-gram grader, {NOT_BEATEN}: {KAPPAS.format('0.30', '0.30')}"),
        (-0.5, -0.1, f"The commonest grade, {NOT_BEATEN}: {KAPPAS.format('0.00', '-0.10')}"),
        (-0.1, 1e-16, f"The commonest grade, {NOT_BEATEN}: {KAPPAS.format('0.00', '0.00')}"),
        (0.3, 0.31, ""),
    ],
)
def test_the_card_says_what_the_way_that_grades_does_not_beat(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap: float, own: float, told: str
) -> None:
    record = read_run(full.workspace, full.entry.run)
    ((epoch, race),) = record.state.races.items()
    values = {"n-grams": cheap, "commonest": 0.0, "middle": 0.0}
    ways = [
        replace(way, figures={**way.figures, "kappa": Figure(values.get(way.way, own))})
        for way in sorted(race.ways, key=lambda way: -values.get(way.way, own))
    ]
    record.state.races[epoch] = replace(race, ways=tuple(ways))
    monkeypatch.setattr(folders, "read_run", lambda *_: record)
    card = card_of(full, tmp_path / "out", way="step head")
    assert (told in card) if told else (NOT_BEATEN not in card)


def test_a_card_of_a_run_without_a_race_has_what_stood_beside_its_epoch(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_run(full.workspace, full.entry.run)
    record.state.races.clear()
    measured = record.state.grades[1]
    monkeypatch.setattr(folders, "read_run", lambda *_: record)
    found = figures_of(card_of(full, tmp_path / "out"))
    assert found["the commonest grade, without a language model"][:2] == ["0.00", f"{measured.majority_exact:.2f}"]
    assert found["the middle grade, without a language model"][2] == f"{measured.middle_within_one:.2f}"
    assert found["the n-gram grader, without a language model"][0].startswith(
        f"{round(measured.n_grams['kappa'].value or 0.0, 2) + 0.0:.2f}"
    )
    # an older journal has a weaker one, which keeps its name
    record.state.grades[1] = replace(measured, n_grams={}, classifier_exact=0.25)
    found = figures_of(card_of(full, tmp_path / "older"))
    assert found["a text classifier, without a language model"] == ["–", "0.25", "–", "–"]
    assert "the n-gram grader, without a language model" not in found


@pytest.mark.parametrize("copies", [0, 24])
def test_the_card_says_that_heads_are_held_steady(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    record = read_run(full.workspace, full.entry.run)
    heads = {key: replace(head, steadied=copies) for key, head in record.state.heads.items()}
    assert heads
    record.state.heads.update(heads)
    monkeypatch.setattr(folders, "read_run", lambda *_: record)
    card = card_of(full, tmp_path / "out")
    assert ("held steady against comments" in card) == bool(copies)
    assert ("with 24 changed training rows (grading.steady)" in card) == bool(copies)
