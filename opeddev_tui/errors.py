"""The problems that a person can act on: what is wrong, where, and the cure.

Exception
└── Problem                 exit code 1
    ├── SettingsProblem     2  a setting
    ├── DataProblem         3  a batch, a row or the hold-out
    ├── StorageProblem      4  a disk or a checkpoint
    ├── ModelProblem        5  a model or tokenizer
    ├── TrainingProblem     6  a training that cannot start, go on or be resumed
    ├── BusyProblem         7  another process holds the workspace
    ├── HubProblem          9  the hub refuses, or cannot be reached
    └── Problems            several at once; exit code and kind of the first

Everything that is raised on purpose is one of these. Any other exception at the command line is a bug, and its
traceback is in the log. Exit codes are part of the interface (README, "Exit codes").
"""

from collections.abc import Iterable, Sequence


class Problem(Exception):
    """One sentence that says what is wrong.

    ``where`` names a file, line or setting, ``cure`` says what to do; both may be empty.
    """

    exit_code = 1
    kind = "problem"

    def __init__(self, message: str, *, where: str = "", cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.cure = cure

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        cure = f" {self.cure}" if self.cure else ""
        return f"{place}{self.message}{cure}"


class SettingsProblem(Problem):
    """A setting that cannot be used."""

    exit_code = 2
    kind = "settings"


class DataProblem(Problem):
    """A batch, a row or the hold-out that cannot be used."""

    exit_code = 3
    kind = "data"


class StorageProblem(Problem):
    """A disk that is full, read-only or gone, or a checkpoint that cannot be trusted."""

    exit_code = 4
    kind = "storage"


class ModelProblem(Problem):
    """A model or tokenizer that cannot be loaded or does not fit."""

    exit_code = 5
    kind = "model"


class TrainingProblem(Problem):
    """A training that cannot start, go on or be resumed."""

    exit_code = 6
    kind = "training"


class BusyProblem(Problem):
    """A workspace in which another process trains."""

    exit_code = 7
    kind = "busy"


class HubProblem(Problem):
    """A hub that refuses what is sent, or a connection that failed on the way."""

    exit_code = 9
    kind = "hub"


class Problems(Problem):
    """Several problems found in one pass, shown together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.exit_code = problems[0].exit_code if problems else 1
        self.kind = problems[0].kind if problems else "problem"


def each(problem: Problem) -> Sequence[Problem]:
    """Return the problems that ``problem`` is made of: itself, where it is one alone."""
    if not isinstance(problem, Problems):
        return (problem,)
    return [one for part in problem.problems for one in each(part)]


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.75, parts: bool = True) -> str | None:
    """Return the one of ``known`` that ``word`` is a misspelling of, else the only one that has it as a part.

    That one only with ``parts``. A misspelling is alike by ``cutoff``, from 0 to 1; below 0.75 other words are taken
    for one. None where none is.
    """
    # the app opens without it
    import difflib

    names = list(dict.fromkeys(known))
    wider = [name for name in names if parts and len(word) > 2 and word in name]
    alone = wider[0] if len(wider) == 1 else None
    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=cutoff)), alone)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the question whether the nearest of ``known`` was meant, as a cure; ``otherwise`` where none is near."""
    near = nearest(word, known)
    return otherwise if near is None else f"Did you mean {near}?"


# what allocators say that are not Python's or torch's own; CUDA and its libraries need some memory beside torch's
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "not enough memory",
    "cuda error: out of memory",
    "cuda out of memory",
    "status_alloc_failed",
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory has run out, on a GPU or on the machine."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in _NO_MEMORY)
