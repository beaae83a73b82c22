"""The race: who grades, whether fine-tuning was worth it, and figures per part; rivals that are strong."""

import re
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from grading_samples import FIVE, graded_features, grades_of_two
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sklearn.feature_extraction.text import TfidfVectorizer

from opeddev_tui.errors import DataProblem, StorageProblem
from opeddev_tui.grading import rivals, store
from opeddev_tui.grading.head import labels_of
from opeddev_tui.grading.n_grams import NGramGrader, fit_n_grams, pieces
from opeddev_tui.grading.race import AUTO, Way, best_cheap, parts, run_race
from opeddev_tui.grading.scores import MISSING, Predictions, Reference, figures
from opeddev_tui.training import kept_n_grams

COUNT = 120


def way(name: str, skill: float, reference: np.ndarray, seed: int, **options: object) -> Way:
    """Return a way that is right in the share ``skill`` of the rows and guesses in the others."""
    draw = np.random.default_rng(seed)
    grades = np.where(draw.random(COUNT) < skill, reference, draw.integers(0, 5, COUNT))
    return Way(name, f"the {name}", Predictions(grades), 0.1, **options)  # type: ignore[arg-type]


@pytest.fixture
def reference() -> Reference:
    return Reference(np.random.default_rng(0).integers(0, 5, COUNT), 5)


def ways(
    reference: Reference, *, head: float = 0.8, tuned: float = 0.75, text: float = 0.1, cheap: float = 0.4
) -> list[Way]:
    right = reference.grades
    return [
        way("head", head, right, 1, mode="head"),
        way("tuned head", tuned, right, 2, mode="head", tuned=True),
        way("text", text, right, 3, mode="text", tuned=True),
        way("n-grams", cheap, right, 4, cheap=True),
        Way("middle", "the middle grade", rivals.middle(FIVE, COUNT), 0.0, cheap=True),
    ]


def test_the_base_head_grades_where_nothing_is_better_beyond_doubt(reference: Reference) -> None:
    race = run_race(ways(reference), reference)
    assert race.chosen == "head"
    assert race.verdict.startswith("The head grades. Its kappa is ")
    assert "It is better than the n-grams, the best cheap way" in race.verdict
    assert race.tuning.startswith("Fine-tuning is not shown to be worth it for the grade")
    kappas = [row.figures["kappa"].value for row in race.rows]
    assert kappas == sorted(kappas, reverse=True)


def test_a_tuned_way_grades_where_it_is_better_beyond_doubt(reference: Reference) -> None:
    race = run_race(ways(reference, head=0.3, tuned=0.95), reference)
    assert race.chosen == "tuned head"
    assert race.tuning.startswith("Fine-tuning was worth it for the grade")


SKILLS = (0.2, 0.5, 0.6, 0.7, 1.0)


@pytest.mark.parametrize("rows", [8, 25, COUNT])
@pytest.mark.parametrize("mode", [AUTO, "head", "text"])
def test_the_verdict_says_why_a_way_of_a_higher_kappa_does_not_grade(
    reference: Reference, mode: str, rows: int
) -> None:
    places, right = np.arange(rows), reference.rows(np.arange(rows))
    said = 0
    for head, tuned, text in product(SKILLS, SKILLS, SKILLS):
        every = [
            replace(item, predictions=item.predictions.rows(places))
            for item in ways(reference, head=head, tuned=tuned, text=text)
        ]
        race = run_race(every, right, mode=mode)
        usable = {item.name for item in every if item.mode and mode in (AUTO, item.mode)}
        kappas = {row.name: row.figures["kappa"].value for row in race.rows if row.name in usable}
        best = max(kappas, key=lambda name: kappas[name])
        higher = mode != "text" and best != race.chosen and round(kappas[best] - kappas["head"], 2) > 0
        assert ("has a higher kappa" in race.verdict) == higher
        assert (f"The {best} has a higher kappa (+" in race.verdict) == higher
        assert ("but is not shown to be better, so it does not grade" in race.verdict) == higher
        assert race.verdict.count("do not rely") <= 1
        said += higher
    assert bool(said) == (mode != "text")


def test_a_tuned_way_that_lost_is_said_to_have_made_it_worse(reference: Reference) -> None:
    assert run_race(ways(reference, head=0.9, tuned=0.2), reference).tuning.startswith(
        "Fine-tuning made the grade worse"
    )


@pytest.mark.parametrize(
    ("cheap", "words"), [(0.75, "it is not shown to beat the n-grams"), (1.0, "It is worse than the n-grams (kappa")]
)
def test_a_cheap_way_that_is_not_beaten_is_named(reference: Reference, cheap: float, words: str) -> None:
    head = 0.8 if cheap < 1 else 0.3
    race = run_race(ways(reference, head=head, tuned=0.2, cheap=cheap), reference)
    assert words in race.verdict


@pytest.mark.parametrize("rows", [3, 9, 10, 29, 30])
def test_on_few_rows_the_verdict_is_cautious_and_on_fewer_there_is_none(reference: Reference, rows: int) -> None:
    # the tuned head is right everywhere and the base head nowhere: an interval would call that sure
    places, right = np.arange(rows), reference.rows(np.arange(rows))
    sure = [way("head", 0.0, reference.grades, 1, mode="head"), way("tuned", 1.0, reference.grades, 2, mode="head")]
    sure = [replace(sure[0], predictions=Predictions((reference.grades + 2) % 5)), replace(sure[1], tuned=True)]
    few = [
        replace(item, predictions=item.predictions.rows(places))
        for item in (*sure, way("n-grams", 0.3, reference.grades, 4, cheap=True))
    ]
    race = run_race(few, right)
    words = f"{race.verdict} {race.tuning}"
    assert ("too few for a verdict" in words) == (rows < 10)
    assert ("may be chance" in words) == (10 <= rows < 30)
    assert race.chosen == ("head" if rows < 10 else "tuned")
    assert ("Fine-tuning was worth it" in words) == (rows >= 10)
    if rows < 10:
        assert race.verdict.startswith("The head grades. Kappa: the head -")
        assert not re.search(r"\d to [+-]?\d", race.verdict)


def test_without_a_head_the_best_written_way_grades_and_without_any_the_race_still_runs(reference: Reference) -> None:
    written = [item for item in ways(reference, text=0.6) if item.mode != "head"]
    assert run_race(written, reference).chosen == "text"
    race = run_race([item for item in written if item.cheap], reference)
    assert (race.chosen, race.tuning) == ("", "")
    assert race.verdict.startswith("The n-grams grades. Its kappa is")


def test_texts_without_grades_are_shown_beside_the_figures(reference: Reference) -> None:
    silent = Way("text", "the text", Predictions(np.full(COUNT, MISSING)), 1.0, mode="text")
    row = run_race([*ways(reference), silent], reference).rows[-1]
    assert (row.name, row.answered) == ("text", 0.0)
    assert row.figures["exact"].value == 0


def test_hold_outs_of_one_grade_have_no_kappa_and_do_not_stop_the_race() -> None:
    alike = Reference(np.full(COUNT, 2), 5)
    race = run_race(ways(alike), alike)
    assert race.rows
    assert race.verdict


def test_parts_are_kinds_grades_and_lengths() -> None:
    reference, grades, _ = grades_of_two(np.random.default_rng(1), 90, skill=0.8, other=0.8)
    kinds = ["html", "css", "js"] * 29 + ["vue"] * 3
    found = parts(Predictions(grades), Reference(reference, 5), kinds, list(range(90)), FIVE.labels)
    assert [part.value for part in found if part.by == "kind"] == ["html", "css", "js"]
    assert [part.value for part in found if part.by == "length"] == ["short", "middle", "long"]
    by_grade = [part for part in found if part.by == "grade"]
    assert sum(part.rows for part in by_grade) >= 85
    assert all("kappa" not in part.figures for part in by_grade)
    assert sum(part.rows for part in found if part.by == "length") == 90


def test_parts_without_kinds_have_none() -> None:
    reference, grades, _ = grades_of_two(np.random.default_rng(1), 30, skill=0.8, other=0.8)
    found = parts(Predictions(grades), Reference(reference, 5), [""] * 30, [5] * 30, FIVE.labels)
    assert not [part for part in found if part.by == "kind"]


# --- rivals


def texts_of(grades: np.ndarray, seed: int = 0) -> list[str]:
    """Return texts in which bad words stand as often as the grade is low."""
    draw = np.random.default_rng(seed)
    words = np.array(["const", "menu", "header", "grid", "footer"])
    return [
        " ".join([*draw.choice(words, 12), *["eval"] * int(4 - grade)]) + f" {draw.integers(999)}" for grade in grades
    ]


def test_n_grams_find_what_stands_in_the_text_and_are_honest_out_of_fold() -> None:
    _, labels = graded_features(150)
    _, new = graded_features(150, seed=1)
    found = rivals.n_grams(texts_of(labels.grades), labels, FIVE, texts_of(new.grades, 1), new.kinds)
    seen = figures(Predictions.of(found.grades), Reference(new.grades, 5))["kappa"].value
    told = figures(Predictions.of(found.out_of_fold), Reference(labels.grades, 5))["kappa"].value
    assert seen > 0.7
    assert told == pytest.approx(seen, abs=0.12)


def test_n_grams_need_rows_as_the_head_does() -> None:
    with pytest.raises(DataProblem, match="too few"):
        rivals.n_grams(["a", "b"], labels_of(np.array([0, 1])), FIVE, ["c"])


def test_n_grams_need_a_text_to_be_fitted_on() -> None:
    _, labels = graded_features(30)
    with pytest.raises(DataProblem, match="no graded row has a submission"):
        rivals.n_grams([" "] * len(labels.grades), labels, FIVE, ["c"])


def test_a_row_without_weight_is_graded_as_a_new_one() -> None:
    _, labels = graded_features(60)
    texts = texts_of(labels.grades)
    for kinds in ((), labels.kinds):
        weighed = replace(labels, kinds=kinds, weights=[0.0, *[1.0] * 59])
        found = rivals.n_grams(texts, weighed, FIVE, texts[:1], kinds[:1])
        alone = rivals.n_grams(texts[1:], weighed.chosen(weighed.used), FIVE, texts[:1], kinds[:1])
        assert found.out_of_fold.probabilities[0] == pytest.approx(found.grades.probabilities[0])
        assert alone.grades.probabilities == pytest.approx(found.grades.probabilities)


def test_n_grams_take_any_text() -> None:
    _, labels = graded_features(30)
    new = ["", " ", "\n", "日本語", "\x00", "a" * 10_000]
    found = rivals.n_grams(texts_of(labels.grades), labels, FIVE, new, [""] * 6)
    assert np.isfinite(found.grades.probabilities).all()


def test_the_commonest_grade_comes_with_the_frequencies() -> None:
    found = rivals.commonest(np.array([3, 3, 3, 0]), FIVE, 2)
    assert found.grades.tolist() == [3, 3]
    assert found.probabilities is not None
    assert found.probabilities[0].argmax() == 3
    assert found.probabilities[0].sum() == pytest.approx(1)
    assert rivals.middle(FIVE, 2).grades.tolist() == [2, 2]


@given(st.text(max_size=60))
def test_pieces_are_those_of_the_library_s_analyzer(text: str) -> None:
    library = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False).build_analyzer()
    assert Counter(pieces(text)) == Counter(library(text))
    assert all("\n" not in piece for piece in pieces(text))


def test_the_n_gram_grader_comes_back_from_disk(tmp_path: Path) -> None:
    _, labels = graded_features(60)
    texts = [*texts_of(labels.grades)[:59], "日本語 \x00 \x1c \ud800 é"]
    grader = fit_n_grams(texts, labels, FIVE).grader
    origin = store.Origin(base="", prompt="", layers=(), model=store.N_GRAMS)
    store.save_head(tmp_path, store.StoredHead(origin, grader.head, None, {}, grader.pieces))
    found = store.load_head(tmp_path, base="", prompt="", model=store.N_GRAMS)
    assert found.pieces is not None
    again = NGramGrader(found.pieces, found.head).grades(texts, labels.kinds)
    assert (again.probabilities == grader.grades(texts, labels.kinds).probabilities).all()
    weights, _ = (tmp_path / name for name in store.head_files(store.N_GRAMS))
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(StorageProblem, match="cannot be read"):
        store.load_head(tmp_path, base="", prompt="", model=store.N_GRAMS)


def test_a_cheap_way_is_chosen_by_a_person_alone() -> None:
    _, labels = graded_features(200)
    right = Reference(labels.grades, 5)
    draw = np.random.default_rng(0)
    guess = Predictions(draw.integers(0, 5, 200))
    near = Predictions(np.clip(labels.grades + draw.integers(-1, 2, 200), 0, 4))
    head = Way("base head", "the head on the base model", guess, 0.0, mode="head")
    grams = Way("n-grams", "the n-gram grader", near, 0.0, mode="n-grams", cheap=True)
    middle = Way("middle", "the middle grade", Predictions(np.full(200, 2)), 0.0, cheap=True)
    auto = run_race([head, grams, middle], right)
    assert auto.chosen == "base head"
    assert 'grading.mode = "n-grams" grades by the n-gram grader, which padding moves' in auto.verdict
    assert best_cheap(auto, [head, grams, middle]) == ("n-grams", True)
    by_hand = run_race([head, grams, middle], right, mode="n-grams")
    assert by_hand.chosen == "n-grams"
    assert "It reads no meaning: padding can move its grades." in by_hand.verdict
    assert "the race would choose the head on the base model" in by_hand.verdict
    worse = run_race([replace(head, predictions=near), replace(grams, predictions=guess), middle], right)
    assert best_cheap(worse, [head, grams, middle])[1] is False
    assert "grading.mode" not in worse.verdict
    assert kept_n_grams.wanted(auto, [head, grams, middle], "auto", 200)
    assert not kept_n_grams.wanted(auto, [head, grams, middle], "auto", 9)
    assert kept_n_grams.wanted(worse, [head, grams, middle], "n-grams", 9)
    assert not kept_n_grams.wanted(worse, [head, grams, middle], "auto", 200)
    assert not kept_n_grams.wanted(auto, [head, middle], "n-grams", 200)
