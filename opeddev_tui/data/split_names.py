"""Find out by the words of its name which split a file, folder or saved split is.

The names of ``datasets`` count (its documentation: "Structure your repository"), and more: a row of a test split must
never be trained on. "testimonials" is no test split, "graderTest" is one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

TRAIN, VALIDATION, TEST, HOLDOUT = "train", "validation", "test", "holdout"
HELD_OUT = (VALIDATION, TEST, HOLDOUT)
_STEMS: Mapping[str, tuple[str, ...]] = {
    VALIDATION: ("validation", "valid", "val", "validate", "dev", "eval", "evaluation", "evals"),
    TEST: ("test", "tests", "testing"),
    HOLDOUT: ("holdout", "heldout"),
    TRAIN: ("train", "training"),
}
_ENDINGS = ("", "set", "data", "split", "rows", "file")
_WORDS = {f"{stem}{ending}": split for split, stems in _STEMS.items() for stem in stems for ending in _ENDINGS}
# a capital inside a word begins a new one; so do digits
_BETWEEN = re.compile(r"[^a-zA-Z]+|(?<=[a-z])(?=[A-Z])")
_TWO_WORDS = re.compile(r"(?i)(?<![a-z])(hold|held)[-_. ]out")
# published sets may have several kinds of rows; the first kind is for fine-tuning, the others are not
_FINE_TUNING, _OTHER_KINDS = "sft", frozenset({"gen", "prefs", "pref", "dpo", "rm", "ppo", "rl"})


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case."""
    joined = _TWO_WORDS.sub(r"\1out", name)
    return [word.lower() for word in _BETWEEN.split(joined) if word]


def split_of(name: str) -> str:
    """Return train, validation, test or holdout, empty if the name has none of them.

    A name with several of them is held out: a possible test row is not trained on.
    """
    splits = {_WORDS[word] for word in words_of(name) if word in _WORDS}
    return next((split for split in (*HELD_OUT, TRAIN) if split in splits), "")


def split_of_path(parts: Sequence[str]) -> str:
    """Return the split of a file by its name, else by the nearest folder that says one."""
    return next((split for part in reversed(parts) if (split := split_of(part))), "")


def for_fine_tuning(names: Iterable[str]) -> list[str]:
    """Return those of the names of one split that are for fine-tuning: train_gen is not, if train_sft is there."""
    every = list(names)
    if not any(_FINE_TUNING in words_of(name) for name in every):
        return every
    return [name for name in every if not _OTHER_KINDS & set(words_of(name))]
