"""Save and load grade heads beside a checkpoint: a safetensors file of weights and a JSON file that explains it.

There may be two, one on the base model and one on the step's own model, and the n-gram grader, which is a head on
pieces of text. A head is worth nothing on other weights or another prompt than it was fitted on, so it is refused
there. No pickle, no row, no feature is stored.
"""

import hashlib
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from opeddev_tui.checkpoints.heads import BASE, DESCRIPTION_NAME, N_GRAMS, STEP, WEIGHTS_NAME, head_files
from opeddev_tui.errors import ModelProblem, StorageProblem
from opeddev_tui.files import read_file, read_record, write_atomic
from opeddev_tui.grading.areas import Areas, Style
from opeddev_tui.grading.criteria import CriteriaHeads
from opeddev_tui.grading.head import GradeHead, LinearScores
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.n_grams import Pieces
from opeddev_tui.grading.ordinal import Ordinal
from opeddev_tui.grading.scale import Scale

__all__ = [
    "BASE", "DESCRIPTION_NAME", "N_GRAMS", "STEP", "WEIGHTS_NAME", "Origin", "StoredHead", "has_head", "head_files",
    "load_head", "origin_of", "save_head",
]  # fmt: skip

FORMAT = 1
# bytes of a head; far more than one of the widest model has
_MOST_BYTES = 1 << 30


class Origin(Struct, frozen=True):
    """What a head belongs to: ``base`` and ``prompt`` hashes, the ``layers`` read, and ``model``, base or step.

    ``base`` is the hash of the weights whose states are read: ``models.fingerprint`` of the base model, or for a head
    on the step's model the digest of the checkpoint's weight files, the same with adapters and without.
    """

    base: str
    prompt: str
    layers: tuple[int, ...]
    model: str


class StoredHead(Struct, frozen=True):
    """A grade head with its criteria heads, where it belongs, and its leave-one-out figures by name.

    ``pieces`` are those of the n-gram grader, None for a head on a model's states.
    """

    origin: Origin
    head: GradeHead
    criteria: CriteriaHeads | None
    out_of_fold: dict[str, Estimate]
    pieces: Pieces | None = None


class _Linear(Struct, frozen=True):
    kinds: tuple[str, ...]
    intercepts: tuple[float, ...]
    penalties: tuple[float, ...]


class _Criteria(Struct, frozen=True):
    names: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]
    in_prompt: tuple[bool, ...]
    highest: tuple[int, ...]
    style: Style
    columns: tuple[int, ...]
    linear: _Linear
    ordinals: tuple[Ordinal, ...]
    threshold: float
    f1: float
    f1_all: float


class _Description(Struct, frozen=True):
    """The content of the JSON file; ``weights`` is the SHA-256 of the other file."""

    format: int
    origin: Origin
    scale: Scale
    linear: _Linear
    ordinal: Ordinal
    set_limit: float
    coverage: float
    rows: int
    criteria: _Criteria | None
    out_of_fold: dict[str, tuple[float | None, float | None, float | None]]
    weights: str


def save_head(folder: Path, stored: StoredHead) -> list[Path]:
    """Write ``stored`` into ``folder`` and return its two files; raises ``StorageProblem``."""
    tensors = _tensors("grade", stored.head.linear)
    if stored.criteria is not None:
        tensors |= _tensors("criteria", stored.criteria.linear)
    if stored.pieces is not None:
        # no piece holds a line break
        letters = "\n".join(stored.pieces.known).encode(errors="surrogatepass")
        tensors |= {"pieces.known": np.frombuffer(letters, np.uint8), "pieces.rarity": stored.pieces.rarity}
    content = save(tensors)
    description = _Description(
        FORMAT,
        stored.origin,
        stored.head.scale,
        _described(stored.head.linear),
        stored.head.ordinal,
        stored.head.set_limit,
        stored.head.coverage,
        stored.head.rows,
        _criteria_described(stored.criteria) if stored.criteria is not None else None,
        {name: (item.value, item.low, item.high) for name, item in stored.out_of_fold.items()},
        hashlib.sha256(content).hexdigest(),
    )
    weights, explained = (folder / name for name in head_files(stored.origin.model))
    write_atomic(weights, content)
    write_atomic(explained, msgspec.json.format(msgspec.json.encode(description), indent=1) + b"\n")
    return [weights, explained]


def has_head(folder: Path, model: str = BASE) -> bool:
    """Return whether ``folder`` has a grade head on ``model``; a checkpoint of version 0.1 has none."""
    return (folder / head_files(model)[1]).is_file()


def origin_of(folder: Path, model: str = BASE) -> Origin:
    """Return what the head in ``folder`` belongs to; raises ``StorageProblem`` if it is damaged or not there."""
    return _read(folder, model)[0].origin


def load_head(folder: Path, *, base: str, prompt: str, model: str = BASE) -> StoredHead:
    """Return the head on ``model`` (base, step or n_grams) in ``folder``.

    Raises ``ModelProblem`` if it was fitted on other weights than ``base`` or another prompt than ``prompt`` (hashes),
    and ``StorageProblem`` if its files are damaged.
    """
    found, tensors = _read(folder, model)
    for what, stored, wanted in (("model", found.origin.base, base), ("prompt template", found.origin.prompt, prompt)):
        if stored != wanted:
            raise ModelProblem(
                f"the grade head was fitted on another {what} ({stored[:12]}, not {wanted[:12]}).",
                where=str(folder / head_files(model)[1]),
                cure=f"Use it with the {what} that it was fitted on, or train a step to fit a new one.",
            )
    try:
        head = GradeHead(
            found.scale,
            _linear("grade", tensors, found.linear),
            found.ordinal,
            found.set_limit,
            found.coverage,
            found.rows,
        )
        criteria = None if found.criteria is None else _criteria(tensors, found.criteria)
        pieces = _pieces(tensors) if model == N_GRAMS else None
    except (KeyError, ValueError) as error:
        _damaged(folder / head_files(model)[1], error)
    return StoredHead(
        found.origin, head, criteria, {name: _estimate(*item) for name, item in found.out_of_fold.items()}, pieces
    )


def _read(folder: Path, model: str) -> tuple[_Description, dict[str, NDArray[Any]]]:
    weights, explained = (folder / name for name in head_files(model))
    try:
        found = read_record(explained, _Description)
        content = read_file(weights, most=_MOST_BYTES)
        if hashlib.sha256(content).hexdigest() != found.weights:
            _damaged(explained, ValueError("the weights are not those that it describes"))
        return found, load(content)
    except (OSError, ValueError, SafetensorError) as error:
        _damaged(explained, error)


def _damaged(path: Path, error: Exception) -> NoReturn:
    raise StorageProblem(
        f"the grade head cannot be read: {error}.",
        where=str(path),
        cure="Take another checkpoint, or train a step to fit a new head.",
    ) from error


def _pieces(tensors: dict[str, NDArray[Any]]) -> Pieces:
    known = tensors["pieces.known"].astype(np.uint8).tobytes().decode(errors="surrogatepass").split("\n")
    rarity = tensors["pieces.rarity"]
    if rarity.shape != (len(known),) or tensors["grade.mean"].shape != rarity.shape or not np.isfinite(rarity).all():
        raise ValueError("the pieces have the wrong shape or are not finite")
    return Pieces(tuple(known), rarity)


def _estimate(*ends: float | None) -> Estimate:
    # JSON has no NaN: what is not known comes back as null
    return Estimate(*(float("nan") if end is None else end for end in ends))


def _tensors(name: str, linear: LinearScores) -> dict[str, NDArray[Any]]:
    return {
        f"{name}.mean": np.ascontiguousarray(linear.mean),
        f"{name}.spread": np.ascontiguousarray(linear.spread),
        f"{name}.weights": np.ascontiguousarray(linear.weights),
    }


def _described(linear: LinearScores) -> _Linear:
    return _Linear(linear.kinds, linear.intercepts, linear.penalties)


def _linear(name: str, tensors: dict[str, NDArray[Any]], known: _Linear) -> LinearScores:
    weights = tensors[f"{name}.weights"]
    if weights.shape[:2] != (len(known.intercepts), 1 + len(known.kinds)) or not np.isfinite(weights).all():
        raise ValueError(f"the weights {name} have the wrong shape or are not finite")
    mean, spread = tensors[f"{name}.mean"], tensors[f"{name}.spread"]
    return LinearScores(mean, spread, known.kinds, weights, known.intercepts, known.penalties)


def _criteria_described(heads: CriteriaHeads) -> _Criteria:
    areas = heads.areas
    return _Criteria(
        areas.names,
        tuple(tuple(sorted(kinds)) for kinds in areas.kinds),
        areas.in_prompt,
        areas.highest,
        areas.style,
        heads.columns,
        _described(heads.linear),
        heads.ordinals,
        heads.threshold,
        heads.f1,
        heads.f1_all,
    )


def _criteria(tensors: dict[str, NDArray[Any]], known: _Criteria) -> CriteriaHeads:
    areas = Areas(
        known.names,
        tuple(frozenset(kinds) for kinds in known.kinds),
        known.in_prompt,
        known.highest,
        np.zeros((0, len(known.names))),
        np.zeros(0, bool),
        known.style,
    )
    linear = _linear("criteria", tensors, known.linear)
    return CriteriaHeads(areas, known.columns, linear, known.ordinals, known.threshold, known.f1, known.f1_all)
