"""Choose runs, or other things with named values, by a line such as ``lr<1e-4 lora !failed`` or ``qwk>0.5 step:2``.

Pure. A line is terms that must all hold; ``|`` stands between alternatives. A term compares a value (``< <= > >= =
!= :``), names a state or a switch (``failed``, ``lora``) or is text that the name contains. ``!`` turns a term
round, quotes keep blanks and signs together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from opeddev_tui.errors import Problem, nearest

Value = float | str | bool
# names of values that people write in another way
ALIASES: Mapping[str, str] = {
    "lr": "learning_rate",
    "qwk": "kappa",
    "val_loss": "loss",
    "hold-out": "loss",
    "holdout": "loss",
    "±1": "within_one",
    "name": "run",
    "state": "status",
    "epoch": "epochs",
}
_COMPARISON = re.compile(r"([^\s<>=!:\"|]+)(<=|>=|!=|==|=|<|>|:)(.*)", re.DOTALL)
_SPACED = re.compile(r"\s*(<=|>=|!=|==|=|<|>)\s*")
# a quoted part, a bar, or anything without blanks; a quote that is not closed is found by its own pattern
_PARTS = re.compile(r'(?:[^\s"|]|"[^"]*")+|\||"')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?")


class Facts(Struct, frozen=True):
    """What a line is held against: values by name, text that words are looked for in, and the state in a word."""

    values: Mapping[str, Value]
    text: str = ""
    status: str = ""


class _Term(Struct, frozen=True):
    word: str
    negated: bool = False
    name: str = ""
    sign: str = ""
    number: float | None = None

    def holds(self, facts: Facts) -> bool:
        """Return whether the term holds; a value that is not known is neither above nor below, nor unequal."""
        if self.name:
            value = facts.values.get(self.name)
            return value is not None and self._compared(value) != self.negated
        return self._named(facts) != self.negated

    def _named(self, facts: Facts) -> bool:
        word = self.word.casefold()
        value = facts.values.get(ALIASES.get(word, word))
        # the name of a value that is no switch stands for having it
        named = value if isinstance(value, bool) else value is not None
        return named or word == facts.status.casefold() or word in facts.text.casefold()

    def _compared(self, value: Value) -> bool:
        if isinstance(value, bool):
            return (value == (self.word.casefold() in _TRUE)) != (self.sign == "!=")
        if isinstance(value, str):
            mine, wanted = value.casefold(), self.word.casefold()
            return {":": wanted in mine, "!=": mine != wanted}.get(self.sign, mine == wanted)
        return self.number is not None and _SIGNS[self.sign](value, self.number)


_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other))


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other and not _same(one, other),
    "<=": lambda one, other: one < other or _same(one, other),
    ">": lambda one, other: one > other and not _same(one, other),
    ">=": lambda one, other: one > other or _same(one, other),
    "=": _same,
    "==": _same,
    ":": _same,
    "!=": lambda one, other: not _same(one, other),
}


class Filter(Struct, frozen=True):
    """A line that was understood. Without terms it lets everything pass."""

    alternatives: tuple[tuple[_Term, ...], ...] = ()

    def passes(self, facts: Facts) -> bool:
        """Return whether all terms of one alternative hold."""
        if not self.alternatives:
            return True
        return any(all(term.holds(facts) for term in terms) for terms in self.alternatives)


def parse(line: str, known: Mapping[str, Value] | None = None) -> Filter:
    """Return the filter that ``line`` says; ``known`` has a value of every name that can be compared.

    Raises ``Problem`` with one sentence: an unknown name with the nearest known one, a missing value, text where a
    number belongs, a quote that is not closed, an alternative without terms.
    """
    understood, problem = parse_in_part(line, known)
    if problem is not None:
        raise problem
    return understood


def parse_in_part(line: str, known: Mapping[str, Value] | None = None) -> tuple[Filter, Problem | None]:
    """Return the filter of all that can be understood of ``line``, and the first problem with the rest."""
    alternatives: list[list[_Term]] = [[]]
    problems: list[Problem] = []
    for part in _PARTS.findall(_joined(line)):
        try:
            if part == "|":
                alternatives.append([])
            else:
                alternatives[-1].append(_term(part, known))
        except Problem as problem:
            problems.append(problem)
    if len(alternatives) > 1 and not all(alternatives) and not problems:
        problems.append(
            Problem("| stands between two alternatives, and one of them is empty.", cure="Write lora | seed=3.")
        )
    understood = Filter(tuple(tuple(terms) for terms in alternatives if terms))
    return understood, problems[0] if problems else None


def _joined(line: str) -> str:
    """Return ``line`` without blanks around signs of comparison, but for what is quoted."""
    pieces = line.split('"')
    return '"'.join(piece if at % 2 else _SPACED.sub(r"\1", piece) for at, piece in enumerate(pieces))


def _term(part: str, known: Mapping[str, Value] | None) -> _Term:
    if part == '"':
        raise Problem("a quote is not closed.", cure='Write "two words", or leave the quote out.')
    negated = part.startswith("!") and len(part) > 1 and not part.startswith("!=")
    body = part[1:] if negated else part
    found = _COMPARISON.fullmatch(body)
    if found is None:
        if body[0] in "<>=!:":
            raise Problem(f"{body} has no name before it.", cure="Write for example lr<1e-4.")
        return _Term(body.replace('"', ""), negated)
    written, sign, word = found[1], found[2], found[3].replace('"', "")
    name = _name(written, known)
    if not word:
        raise Problem(f"a value is missing after {written}{sign}.", cure=f"Write for example {written}{sign}1.")
    example = known.get(name) if known is not None else None
    number = _number(word)
    _check(written, sign, word, number, example)
    return _Term(word, negated, name, sign, number)


def _name(written: str, known: Mapping[str, Value] | None) -> str:
    """Return the name of the value that a person calls ``written``."""
    lower = written.casefold()
    for name in (lower, ALIASES.get(lower, lower), lower.replace("-", "_")):
        if known is None or name in known:
            return ALIASES.get(lower, lower) if known is None else name
    names: Collection[str] = {*(known or {}), *ALIASES}
    near = nearest(lower, sorted(names))
    hint = "" if near is None else f" The nearest is {near}."
    raise Problem(f"nothing here is called {written}.{hint}", cure='Write it in "quotes" to search for it as text.')


def _check(written: str, sign: str, word: str, number: float | None, example: Value | None) -> None:
    """Raise ``Problem`` where ``word`` is not of the kind that ``example`` is, as far as that is known."""
    if isinstance(example, bool):
        if word.casefold() not in (*_TRUE, *_FALSE) or sign not in (":", "=", "==", "!="):
            raise Problem(f"{written} is on or off.", cure=f"Write {written} or !{written}.")
    elif isinstance(example, str):
        if sign not in (":", "=", "==", "!="):
            raise Problem(f"{written} is text, which {sign} does not compare.", cure=f"Write {written}:{word}.")
    elif number is None and (example is not None or sign not in (":", "=", "==", "!=")):
        raise Problem(f"{written} is a number, and {word} is none.", cure=f"Write for example {written}{sign}0.5.")


def _number(word: str) -> float | None:
    if _NUMBER.fullmatch(word) is None:
        return None
    return float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)


def names_of(facts: Sequence[Facts]) -> dict[str, Value]:
    """Return a value of every name that some of ``facts`` know."""
    return {name: value for item in reversed(facts) for name, value in item.values.items()}
