"""Which split a file, folder or saved split is, by the words of its name between separators.

As ``datasets`` finds them (docs: "Structure your repository"), and wider: a row of a test split must never be trained
on. "testimonials" is no test split, "graderTest" is one.
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
# of several kinds of rows in one published set, these are the ones to fine-tune on
_FINE_TUNING, _OTHER_KINDS = "sft", frozenset({"gen", "prefs", "pref", "dpo", "rm", "ppo", "rl"})


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case."""
    joined = _TWO_WORDS.sub(r"\1out", name)
    return [word.lower() for word in _BETWEEN.split(joined) if word]


def split_of(name: str) -> str:
    """Return train, validation, test or holdout; an empty text if the name says none of them.

    A name that says both is held out: what may be a test row is not trained on.
    """
    said = {_WORDS[word] for word in words_of(name) if word in _WORDS}
    return next((split for split in (*HELD_OUT, TRAIN) if split in said), "")


def split_of_path(parts: Sequence[str]) -> str:
    """Return the split of a file by its name, else by the nearest folder that says one."""
    return next((split for part in reversed(parts) if (split := split_of(part))), "")


def for_fine_tuning(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (kept, passed over) of names of one split: with train_sft there, train_gen is another kind of rows."""
    every = list(names)
    if not any(_FINE_TUNING in words_of(name) for name in every):
        return every, []
    others = [name for name in every if _OTHER_KINDS & set(words_of(name))]
    return [name for name in every if name not in others], others
