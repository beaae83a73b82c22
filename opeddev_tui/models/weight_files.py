"""Read the headers of a model folder's weight files, and refuse files that are not whole or not of its configuration.

Names and sizes are read, never the weights. Models of the hub are not looked at: nothing is fetched for a check.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from opeddev_tui.config import settings as st
from opeddev_tui.errors import ModelProblem
from opeddev_tui.format import plural
from opeddev_tui.models.model_config import LOADING_ERRORS, TEXT_WEIGHTS, load_config, loading_problem

_LOADERS = "transformers"


def check_weights(source: str, model: st.Model) -> None:
    """Raise ``ModelProblem`` if the weights of the folder ``source`` are cut off, missing, or of other sizes."""
    if not Path(source).is_dir():
        return
    config = load_config(source, model)
    found = _compared(source, model, {} if config.whole else {"config": config.text, "key_mapping": TEXT_WEIGHTS})
    missing = sorted(found["missing_keys"])
    if not config.whole and missing == ["lm_head.weight"]:
        # the multimodal model ties its output layer to the embedding, which its text part does not say
        missing = []
    if missing:
        raise loading_problem(source, "model", ValueError(lacking(missing)))
    for name, stored, expected in sorted(found["mismatched_keys"]):
        raise ModelProblem(
            f"the model of {source} cannot be loaded: {name} has the sizes {_sizes(stored)} in its file, but "
            f"{_sizes(expected)} by config.json.",
            where="model.name",
            cure="Take the config.json that was saved with the weights.",
        )


def lacking(missing: list[str]) -> str:
    """Return the words for weights that no file holds."""
    return f"it lacks {plural(len(missing), 'weight')}, such as {missing[0]}."


def _compared(source: str, model: st.Model, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what the library finds when it compares the files' headers with the model that the configuration means."""
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM  # its types do not know output_loading_info
    with _without_reports():
        try:
            _, found = loader.from_pretrained(
                source,
                dtype=torch.float32,
                trust_remote_code=model.trust_remote_code,
                use_safetensors=True if model.use_safetensors else None,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                device_map={"": "meta"},
                **arguments,
            )
        except (*LOADING_ERRORS, SafetensorError) as error:
            raise loading_problem(source, "model", error) from error
    result: dict[str, Any] = found
    return result


@contextmanager
def _without_reports() -> Iterator[None]:
    """Keep the library's own tables and progress bars off the screen: one sentence replaces them."""
    from transformers.utils import logging as transformers_logging

    library: Any = transformers_logging  # its switches have no types
    logger = logging.getLogger(_LOADERS)
    level, bars = logger.level, library.is_progress_bar_enabled()
    logger.setLevel(logging.CRITICAL)
    library.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            library.enable_progress_bar()


def _sizes(shape: Any) -> str:
    return " x ".join(str(size) for size in shape)
