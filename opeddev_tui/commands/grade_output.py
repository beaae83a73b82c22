"""Print grades as they come: a table that fits the terminal, JSON Lines or CSV; and what came out of all of them.

Keeps counts and grades only, however many submissions there are.
"""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from opeddev_tui.commands.printing import CleanConsole, write_json
from opeddev_tui.config.settings import Grading
from opeddev_tui.data import grade_scale
from opeddev_tui.format import plural, share
from opeddev_tui.runs.grade_words import graded_by, near_words
from opeddev_tui.serving.answers import COLUMNS, as_json, csv_line, csv_values, json_line
from opeddev_tui.serving.asked import Graded
from opeddev_tui.serving.items import Skipped
from opeddev_tui.serving.results import Done
from opeddev_tui.text import clean, clean_line

if TYPE_CHECKING:
    from opeddev_tui.grading.scale import Scale
    from opeddev_tui.serving.ask_rule import AskRule
    from opeddev_tui.serving.grader import Grader

Form = Literal["table", "json", "csv", "none"]
_WIDEST = 120
# assumed texts that are named at the end
_MOST_ASSUMED = 4


class Tally:
    """What came out so far; ``limit`` is the grade of --fail-below."""

    def __init__(self, scale: "Scale", grading: Grading, limit: int | None) -> None:
        self.scale, self.limit = scale, limit
        self._grading = grading
        self.grades: Counter[str] = Counter()
        self.assumed: Counter[str] = Counter()
        self.count = self.known = self.asks = self.ungraded = self.below = 0
        # of those with a person's grade: that and ours, as places on the scale, −1 for none
        self.right: list[int] = []
        self.given: list[int] = []

    def take(self, graded: Graded) -> None:
        """Count ``graded``."""
        self._count(graded.grade or "", graded.reference, graded.ask)
        self.assumed.update(f"{name}: {text}" for name, text in graded.assumed.items())

    def again(self, done: Done) -> None:
        """Count a row that was graded before."""
        self.known += 1
        self._count(done.grade, done.reference, done.ask)

    def _count(self, label: str, reference: str, ask: bool) -> None:
        self.count += 1
        self.asks += ask
        grade, right = (grade_scale.grade_of(text, self._grading) for text in (label, reference))
        if grade is None:
            self.ungraded += 1
        else:
            self.grades[self.scale.labels[grade - self.scale.minimum]] += 1
            self.below += self.limit is not None and grade < self.limit
        if right is not None:
            self.right.append(right - self.scale.minimum)
            self.given.append(-1 if grade is None else grade - self.scale.minimum)

    @property
    def fails(self) -> bool:
        """Whether a grade is below the limit, or nothing could be graded that would show that none is."""
        return self.limit is not None and (self.below > 0 or 0 < self.ungraded == self.count)


class Printer:
    """Prints grades in one ``form``; none prints what came out only."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._width = min(_WIDEST, shutil.get_terminal_size((80, 24)).columns)
        self._sets = 11
        self._rule: AskRule | None = None

    def begin(self, grader: "Grader") -> None:
        """Print what stands above the rows."""
        labels, self._rule = grader.models.scale.labels, grader.rule
        self._sets = max(3, min(13, len(" ".join(labels))))
        if self.form == "csv":
            write_json(csv_line(COLUMNS))
        if self.form == "table":
            print(f"{'submission':{self._names}} grade expected {'set':{self._sets}} sure ask")

    @property
    def _names(self) -> int:
        """Columns that are left for the name: grade, expected, set, sure and ask take the others."""
        return max(12, self._width - (1 + 5 + 1 + 8 + 1 + self._sets + 1 + 4 + 1 + 3))

    def show(self, graded: Graded, content: str) -> None:
        """Print one grade."""
        if self.form == "json":
            write_json(json_line(as_json(graded, content)))
        elif self.form == "csv":
            write_json(csv_line(csv_values(as_json(graded, content))))
        elif self.form == "table":
            for line in self._lines(graded):
                print(line)

    def _lines(self, graded: Graded) -> list[str]:
        name = _shortened(clean_line(graded.id or graded.file or f"#{graded.index + 1}"), self._names)
        expected = "–" if graded.expected is None else f"{graded.expected:.2f}"
        sure = "–" if graded.confidence is None else f"{graded.confidence:.2f}"
        inside = _shortened(" ".join(graded.set) or "–", self._sets)
        row = f"{name:{self._names}} {graded.grade or '–':>5} {expected:>8} {inside:{self._sets}} {sure:>4}"
        lines = [f"{row} {'ask' if graded.ask else '':3}".rstrip()]
        failed = [area for area, item in graded.criteria.items() if not item.passed]
        if failed:
            lines += self._indented(f"failed: {', '.join(failed)}")
        # that the grader is not sure is said by the numbers, and in a sentence at the end
        unsure = self._rule.words(graded.confidence) if self._rule is not None else ""
        lines += [line for why in graded.why if why != unsure for line in self._indented(why)]
        return [*lines, *(self._indented(graded.feedback) if graded.feedback else [])]

    def _indented(self, text: str) -> list[str]:
        lines = clean(text, max_chars=4000).splitlines()
        return [
            piece
            for line in lines
            for piece in textwrap.wrap(line, self._width - 2, initial_indent="  ", subsequent_indent="  ")
        ]

    # --- at the end

    def end(self, told: CleanConsole, grader: "Grader", tally: Tally, skipped: Skipped) -> None:
        """Say on ``told`` what came out of all submissions."""
        from rich.text import Text

        def say(words: str) -> None:
            told.print(Text(clean_line(words, max_chars=2000)))

        if self.form == "table":
            print()
        counts = ", ".join(f"{label}: {tally.grades[label]}" for label in tally.scale.labels if tally.grades[label])
        say(f"{plural(tally.count, 'submission')} by {grader.choice.named}. {counts}")
        say(graded_by(grader.choice.way))
        for words in grader.rule.measured.words if grader.rule.measured is not None else ():
            say(words)
        if self.form == "table":
            for words in _column_words(grader):
                say(words)
        if tally.known:
            say(f"{tally.known} of them were graded before.")
        if tally.asks:
            say(f"A person should look at {tally.asks}: {_reason(grader)}")
        if tally.ungraded:
            say(f"Without a grade: {tally.ungraded}.")
        for words, count in tally.assumed.most_common(_MOST_ASSUMED):
            say(f"Assumed for {count}: {clean_line(words, max_chars=160)}")
        if skipped.words:
            say(f"Left out: {skipped.words}.")
        if tally.limit is not None:
            wanted = tally.scale.labels[tally.limit - tally.scale.minimum]
            say(f"Below {wanted}: {tally.below}.")
        if tally.right:
            from opeddev_tui.commands.grade_agreement import agreement_table

            told.print(agreement_table(tally.right, tally.given, tally.scale))


def _column_words(grader: "Grader") -> Iterator[str]:
    """Yield what the figures of the table are."""
    yield f"sure: the probability that the grade is {near_words(grader.rule.tolerance)}."
    if grader.models.head is not None and (criteria := grader.models.head.criteria) is not None:
        found = "the threshold that found the failed areas of your rows best"
        yield f"failed: areas that are at least {share(criteria.threshold)} likely to have failed, {found}."
        yield "The grade is read separately, not counted from them."


def _reason(grader: "Grader") -> str:
    rule = grader.rule
    if rule.threshold is None:
        return rule.why
    return f"those less sure than {rule.threshold:.2f}, {rule.why}" if rule.threshold > 0 else "for the reasons given."


def _shortened(text: str, width: int) -> str:
    """Return ``text`` in ``width`` columns; of a long path the end is what tells."""
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"
