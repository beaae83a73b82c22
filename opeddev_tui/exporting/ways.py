"""Choose by which way an exported folder grades, and say which model that way reads."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.checkpoints.heads import BASE, STEP, head_files, heads_in
from opeddev_tui.errors import ModelProblem
from opeddev_tui.runs.history import RunRecord


class Way(Struct, frozen=True):
    """A way to a grade: what it ``reads`` (head, tokens, text) of which ``model`` (base, step); ``words`` name it."""

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
    )
}


def way_of(entry: Entry, record: RunRecord, wanted: str = "") -> Way | None:
    """Return the way by which an export of ``entry`` grades; None where its rows have no grades.

    It is the one ``wanted``, else what the race chose where this checkpoint has it, else a head, else the model's own
    grade. Raises ``ModelProblem`` where the checkpoint lacks the one that is wanted.
    """
    state, present = record.state, heads_in(entry.folder)
    if not (present or state.readings or state.grades or state.race):
        if wanted:
            raise _lacks(entry, wanted, [])
        return None
    possible = [f"{model} head" for model in present]
    if any(read.by("step tokens") is not None for read in state.readings.values()):
        possible += ["step tokens", "base tokens"]
    possible.append("step text")
    if wanted and wanted not in possible:
        raise _lacks(entry, wanted, possible)
    chosen = wanted or (state.race.chosen if state.race is not None else "")
    return WAYS[chosen if chosen in possible else possible[0]]


def _lacks(entry: Entry, wanted: str, possible: Sequence[str]) -> ModelProblem:
    return ModelProblem(
        f"{entry.name} cannot grade by {wanted}.",
        where="--way",
        cure=f"It can by {', '.join(possible)}." if possible else "Its rows have no grades.",
    )
