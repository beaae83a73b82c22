"""The settings of grades: how rows become text, how a grade is read from one, and how submissions are graded."""

import re
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import force_setattr

from opeddev_tui.config.section import Batch, Each, Section

# an area opens a sentence or a line of a list, with a capital, and is followed by a colon
DEFAULT_AREA_PATTERN = r"(?:(?:^|\n)[\s\d.)>#*_•–-]*|(?<=[.!?;])[\s*_]+)([A-Z][\w &/,'()-]{1,60}?)[*_]{0,2}:(?!//)"
DEFAULT_PATTERN = r"Grade:\s*([+-]?[0-9]+(?:[.,][0-9]+)?)"


class Grading(Section, frozen=True):
    """How rows with a submission and a grade become text, and how a grade is read from a text."""

    system_prompt: Annotated[str, "The system message; empty for none."] = (
        "You grade web-development code from 1 (poor) to 5 (excellent)."
    )
    prompt_template: Annotated[
        str, "The user message. {task}, {submission}, {rubric} and {kind} are the row's fields."
    ] = "Task: {task}\n\nRubric: {rubric}\n\nSubmission:\n{submission}"
    completion_template: Annotated[str, "The answer that the model learns to write."] = (
        "Grade: {grade}\nFeedback: {feedback}"
    )
    pattern: Annotated[
        str,
        "A regular expression whose first group is the grade. Left unchanged, it reads grading.grades if they are set.",
    ] = DEFAULT_PATTERN
    area_pattern: Annotated[
        str,
        "A regular expression whose first group is an area of the rubric that a feedback names, as in "
        '"Valid markup: a list is never closed." Rows with criteria do not need it.',
    ] = DEFAULT_AREA_PATTERN
    minimum: Annotated[int, "The lowest grade."] = 1
    maximum: Annotated[int, "The highest grade."] = 5
    grades: Annotated[
        list[str],
        'The grades as they are written, lowest first, such as ["F", "D", "C", "B", "A"] or ["1", "1.5", "2"]. '
        "Empty: the whole numbers from minimum to maximum.",
    ] = field(default_factory=list)
    loss: Annotated[
        Literal["cross-entropy", "squared", "ordinal"],
        Each(
            {
                "cross-entropy": "treats it like every other token",
                "squared": "adds the squared distance of the expected grade from the right one",
                "ordinal": "adds the distance of the whole distribution over the grades",
            }
        ),
        "The loss of the grade.",
    ] = "cross-entropy"
    loss_weight: Annotated[
        float,
        Meta(ge=0, le=1000),
        "Weight of the loss squared or ordinal beside cross-entropy (nats per token); a loss of 1 is an even guess.",
    ] = 1.0
    token_weight: Annotated[
        float, Meta(ge=0, le=1000), "Weight of the grade's own tokens in the cross-entropy; other tokens weigh 1."
    ] = 1.0
    evaluate: Annotated[
        bool, "Read grades of the hold-out after every epoch, and fit a grade head on the base model before the first."
    ] = True
    mode: Annotated[
        Literal["auto", "head", "text", "tokens", "n-grams"],
        Each(
            {
                "auto": "what the race at the step's end chose",
                "head": "a head on hidden states",
                "text": "the grade that the model writes",
                "tokens": "the probabilities of the grades' tokens",
                "n-grams": "short pieces of text, without a language model",
            }
        ),
        "What gives the grades that are reported.",
    ] = "auto"
    step_head: Annotated[
        Literal["end", "epoch", "never"],
        Each(
            {
                "end": "at the step's end",
                "epoch": 'after every epoch, as always with early_stop.metric = "grade"',
                "never": "at no time",
            }
        ),
        "When a grade head is fitted on the step's own model, for which its training rows are read once more.",
    ] = "end"
    steady: Annotated[
        bool,
        "Hold grade heads steady against comments that are no reason for a grade: one that states or asks for the best "
        "grade, empty ones, a copied rubric. For each head up to 100 training rows are read once more, with such a "
        "comment added; the head then relies less on what the comments moved. The hold-out takes no part in it.",
    ] = False
    max_new_tokens: Annotated[int, Meta(ge=1, le=512), "Most tokens generated to read a grade from a text."] = 8

    def __post_init__(self) -> None:
        """Derive maximum and pattern from the written grades: a grade is then the number minimum + its position."""
        if not self.grades:
            return
        force_setattr(self, "maximum", self.minimum + len(self.grades) - 1)
        if self.pattern == DEFAULT_PATTERN:
            longest_first = sorted(self.grades, key=len, reverse=True)
            spellings = "|".join(re.escape(grade) for grade in longest_first)
            # not the beginning of a longer word or number: A is not read in "Also", 1 not in "1.5"
            force_setattr(self, "pattern", rf"Grade:\s*({spellings})(?![\w+-]|[.,][0-9])")


# the fields of a submission that training rows tell where nobody says them
FILLED_FIELDS = ("task", "rubric")
# those that a person, an option or [grade] can say of a submission that does not name them
GIVEN_FIELDS = (*FILLED_FIELDS, "kind")
# percent of agreement with people that can be wanted
LEAST_AGREEMENT, MOST_AGREEMENT = 50, 100


class Grade(Section, frozen=True):
    """Grading submissions with a trained model: defaults for their fields, and when a person is asked."""

    task: Annotated[str, "The task of submissions that name none; empty: the commonest of the training rows."] = ""
    rubric: Annotated[str, "The rubric of submissions that name none; empty: the commonest of the training rows."] = ""
    kind: Annotated[str, "The kind of submissions that name none and whose file's ending does not tell."] = ""
    agreement: Annotated[
        int,
        Meta(ge=LEAST_AGREEMENT, le=MOST_AGREEMENT),
        "Percent of agreement with people, measured on the hold-out, below which a person is asked.",
    ] = 90
    tolerance: Annotated[
        int, Meta(ge=0, le=5), "How many grades away still counts as agreement; 0 on scales of two or three grades."
    ] = 1
    batch_size: Annotated[Batch, "Submissions per forward pass; half as many after each out-of-memory."] = 8
    rater: Annotated[str, "Who corrects a grader's answers; empty: the name of your login."] = ""
