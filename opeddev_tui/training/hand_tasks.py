"""What a hand reads and writes with its model when rank 0 deals it a share."""

from __future__ import annotations

from collections.abc import Sequence

from opeddev_tui.config import settings as st
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.models.token_rows import TokenRow
from opeddev_tui.ranks.dealing import by_length
from opeddev_tui.ranks.group import Place
from opeddev_tui.ranks.words import AnyWord, Found, ReadGrades, ReadLosses, ReadStates, WriteTexts
from opeddev_tui.training import reading, shares
from opeddev_tui.training.graded_step import GradedStep
from opeddev_tui.training.model_in_use import ModelRunner


class Tasks:
    """Does tasks with the model of ``runner``; ``graded`` is None where no grades are read."""

    def __init__(
        self,
        settings: st.Settings,
        runner: ModelRunner,
        holdout: Sequence[TokenRow],
        graded: GradedStep | None,
        place: Place,
    ) -> None:
        self._settings, self._runner = settings, runner
        self._holdout, self._graded, self._place = holdout, graded, place

    def do(self, word: AnyWord) -> Found:
        """Return what this rank's share of the task ``word`` has."""
        match word:
            case ReadLosses():
                rows = [self._holdout[place] for place in self._mine(self._holdout, word.batch)]
                return shares.found_losses(reading.read_losses(self._runner, rows))
            case ReadGrades():
                graded = self._grades
                passed = [graded.passed[place] for place in self._mine(graded.passed, word.batch)]
                return shares.found_readings(reading.read_grades(self._runner, passed, graded.tokens))
            case ReadStates():
                every = self._grades.rows_of(word.of)
                chosen = [every[number] for number in word.rows]
                mine = [chosen[place] for place in self._mine(chosen, word.batch)]
                return shares.found_readings(reading.read_states(self._runner, mine))
            case WriteTexts():
                return self._write(word)
            case _:
                raise ValueError(f"{type(word).__name__} is no task")

    @property
    def _grades(self) -> GradedStep:
        if self._graded is None:
            raise ValueError("this hand reads no grades")
        return self._graded

    def _mine(self, rows: Sequence[TokenRow] | Sequence[GradeRow], batch: int) -> list[int]:
        return by_length([row.length for row in rows], batch, self._place.world)[self._place.rank]

    def _write(self, word: WriteTexts) -> Found:
        dealt = shares.dealt_prompts(
            self._runner, self._settings, word.prompts, word.max_new_tokens, word.batch, self._place.world
        )
        mine = [word.prompts[place] for place in dealt[self._place.rank]]
        if not mine:
            return Found()
        return Found(texts=reading.write_texts(self._runner, self._settings, mine, word.max_new_tokens))
