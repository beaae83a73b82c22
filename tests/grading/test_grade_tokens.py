"""The token sequences of grades, from a tokenizer whose tokens are single characters."""

from typing import Any

import numpy as np
import pytest

from opeddev_tui.grading.grade_tokens import grade_stem, grade_tokens

PATTERN = r"Grade:\s*(\S+)"


class Letters:
    """A token per character; 0 ends a completion."""

    def encode(self, example: Any) -> tuple[list[int], list[int]]:
        return [1], [*map(ord, example.completion), 0]

    def encode_prompt(self, messages: Any) -> list[int]:
        return [ord(letter) for message in messages for letter in message.content]


def words(ids: tuple[int, ...]) -> str:
    return "".join(chr(number) for number in ids)


def test_single_tokens_need_no_branch() -> None:
    found = grade_tokens(Letters(), ("Grade: ", "\nFeedback: "), ["1", "2", "3"])
    assert found is not None
    assert (words(found.stem), [words(tail) for tail in found.tails]) == ("Grade: ", ["1", "2", "3"])
    assert found.branches == ()
    assert found.begins([*map(ord, "Grade: 2")])
    assert not found.begins([*map(ord, "Grade: ")])
    assert not found.begins([*map(ord, "Mark: 2")])


def test_a_grade_that_begins_another_is_told_from_it_by_what_follows() -> None:
    found = grade_tokens(Letters(), ("Grade: ", "\nFeedback: "), ["1", "10", "2", "2.5"])
    assert found is not None
    assert [words(tail) for tail in found.tails] == ["1\n", "10\n", "2\n", "2.5\n"]
    assert [words(branch) for branch in found.branches] == ["10", "2.5"]


def test_at_the_end_of_the_text_the_end_token_follows() -> None:
    found = grade_tokens(Letters(), ("Grade: ", ""), ["A", "A+"])
    assert found is not None
    assert found.tails == ((ord("A"), 0), (ord("A"), ord("+"), 0)) or found.tails == ((0,), (ord("+"), 0))


def test_grades_with_a_common_beginning_share_the_stem() -> None:
    found = grade_tokens(Letters(), ("Grade: ", "\n"), ["level 1", "level 2"])
    assert found is not None
    assert (words(found.stem), [words(tail) for tail in found.tails]) == ("Grade: level ", ["1", "2"])


def test_grades_that_are_written_alike_have_no_distribution() -> None:
    assert grade_tokens(Letters(), ("Grade: ", "\n"), ["1", "1"]) is None


def test_probabilities_are_normalised_over_the_scale() -> None:
    found = grade_tokens(Letters(), ("", "\n"), ["1", "10"])
    assert found is not None
    logs = np.full((2, 128), -np.inf)
    after = logs.copy()
    logs[:, ord("1")] = np.log(0.5)
    after[:, ord("\n")], after[:, ord("0")] = np.log(0.6), np.log(0.3)
    last = np.full((2, 128), -np.inf)
    last[:, ord("\n")] = np.log(1.0)
    one, ten = found.tails
    start = () if one[0] == ord("1") else None
    known = (
        {(): logs, (ord("1"),): after, (ord("1"), ord("0")): last}
        if start is not None
        else {(): after, (ord("0"),): last}
    )
    np.testing.assert_allclose(found.normalised(known), [[2 / 3, 1 / 3]] * 2)
    assert len(ten) > len(one)


@pytest.mark.parametrize(
    ("completions", "stem"),
    [
        (["Grade: 3\nFeedback: bad", "Grade: 4\nFeedback: better"], ("Grade: ", "\nFeedback: ")),
        (["Grade: 3", "Grade: 4"], ("Grade: ", "")),
        (["bad. Grade: 3", "good. Grade: 4"], None),
        (["no grade", "none here"], None),
        (["Grade: 3\nFeedback: The same", "Grade: 4\nFeedback: The end"], ("Grade: ", "\nFeedback: The ")),
    ],
)
def test_the_text_before_the_grade_must_be_the_same_in_every_row(
    completions: list[str], stem: tuple[str, str] | None
) -> None:
    assert grade_stem(completions, PATTERN) == stem


def test_a_few_odd_rows_do_not_hide_the_frame() -> None:
    completions = [f"Grade: {number % 5}\nFeedback: words {number}" for number in range(40)] + ["Well. Grade: 2"]
    assert grade_stem(completions, PATTERN) == ("Grade: ", "\nFeedback: words ")
