"""Choose by which way an exported folder grades, and say which model that way reads."""

from collections.abc import Mapping

from msgspec import Struct

from opeddev_tui.checkpoints.heads import BASE, N_GRAMS, STEP, head_files, heads_in
from opeddev_tui.errors import ModelProblem
from opeddev_tui.runs.grade_records import BASE_TOKENS, STEP_TEXT, STEP_TOKENS
from opeddev_tui.serving.choice import Choice


class Way(Struct, frozen=True):
    """A way to a grade: what it ``reads`` (head, tokens, text, pieces) of which ``model``; ``words`` name it.

    The model is base or step, or n_grams, which reads none.
    """

    name: str
    reads: str
    model: str
    words: str

    @property
    def head(self) -> str:
        """The file name of its head without the suffix."""
        return head_files(self.model)[1].removesuffix(".json")


WAYS: Mapping[str, Way] = {
    way.name: way
    for way in (
        Way("base head", "head", BASE, "the head on the base model"),
        Way("step head", "head", STEP, "the head on this model"),
        Way("step tokens", "tokens", STEP, "this model's probabilities of the tokens that write each grade"),
        Way("base tokens", "tokens", BASE, "the base model's probabilities of the tokens that write each grade"),
        Way("step text", "text", STEP, "the grade that this model writes"),
        Way("n-grams", "pieces", N_GRAMS, "short pieces of text, without a language model"),
    )
}


def way_of(choice: Choice, wanted: str = "") -> Way | None:
    """Return the way by which an export grades: ``wanted``, else that of ``choice``; None where no row has a grade.

    Raises ``ModelProblem`` where the checkpoint lacks the one that is wanted.
    """
    state, entry = choice.state, choice.entry
    present = heads_in(entry.folder) if entry is not None else []
    is_graded = bool(present or state.readings or state.grades or state.races)
    possible = [f"{model} head" if model != N_GRAMS else "n-grams" for model in present]
    if any(read.by(STEP_TOKENS) is not None for read in state.readings.values()):
        possible += [STEP_TOKENS, BASE_TOKENS]
    possible = list(dict.fromkeys([*possible, choice.way, STEP_TEXT])) if is_graded else []
    if wanted and wanted not in possible:
        raise ModelProblem(
            f"{choice.checkpoint} cannot grade by {wanted}.",
            where="--way",
            cure=f"It can by {', '.join(possible)}." if possible else "Its rows have no grades.",
        )
    return WAYS[wanted or choice.way] if is_graded else None
