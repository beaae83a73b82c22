"""The trackers that a person can name in ``tracking.trackers``, and what must be installed for each."""

import importlib.util

from msgspec import Struct


class Package(Struct, frozen=True):
    """What a tracker is called in a sentence, the modules it needs, and the packages that bring them."""

    words: str
    modules: tuple[str, ...]
    install: str


PACKAGES = {
    "tensorboard": Package("TensorBoard", ("tensorboard",), "tensorboard"),
    "wandb": Package("Weights & Biases", ("wandb",), "wandb"),
    "trackio": Package("Trackio", ("trackio",), "trackio"),
    # the small package has no database of its own
    "mlflow": Package("MLflow", ("mlflow", "sqlalchemy", "alembic"), "mlflow-skinny sqlalchemy alembic"),
}


def missing(name: str) -> str:
    """Return the sentence that says how to install what tracker ``name`` needs; "" where everything is there."""
    package = PACKAGES[name]
    absent = [module for module in package.modules if importlib.util.find_spec(module) is None]
    if not absent:
        return ""
    return f"{package.words} gets nothing: {' and '.join(absent)} is not installed (pip install {package.install})."
