"""The files of grade heads beside a checkpoint's weights: their names, and copying them with an export.

Their content belongs to ``grading.store``; here a head is two files, one of which names the model it belongs to.
"""

import shutil
from pathlib import Path

import msgspec

from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import write_atomic

WEIGHTS_NAME = "grade_head.safetensors"
DESCRIPTION_NAME = "grade_head.json"
BASE, STEP = "base", "step"
# the n-gram grader, which reads no model
N_GRAMS = "n_grams"


def head_files(model: str) -> tuple[str, str]:
    """Return the names of the two files (weights, description) of the head on ``model``: base, step or n_grams."""
    before = "" if model == BASE else f"{model}_"
    return f"{before}{WEIGHTS_NAME}", f"{before}{DESCRIPTION_NAME}"


def is_head(name: str) -> bool:
    """Return whether ``name`` is a file of a head, not of the model beside it."""
    return name in (*head_files(BASE), *head_files(STEP), *head_files(N_GRAMS))


def heads_in(folder: Path) -> list[str]:
    """Return the models that have a head in ``folder``, and n_grams; none in a checkpoint of version 0.1."""
    return [model for model in (BASE, STEP, N_GRAMS) if (folder / head_files(model)[1]).is_file()]


def carry(source: Path, target: Path, digest: str) -> None:
    """Copy the heads of ``source`` into ``target``; that on the step's model then belongs to weights of ``digest``.

    The head on the base model belongs to the base model as before. Raises ``StorageProblem``.
    """
    for model in heads_in(source):
        weights, description = head_files(model)
        shutil.copy2(source / weights, target)
        shutil.copy2(source / description, target)
        if model == STEP:
            _belongs_to(target / description, digest)


def _belongs_to(path: Path, digest: str) -> None:
    try:
        found = msgspec.json.decode(path.read_bytes())
        found["origin"]["base"] = digest
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise StorageProblem(
            f"the grade head cannot be read: {error}.", where=str(path), cure="Choose another checkpoint."
        ) from error
    write_atomic(path, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
