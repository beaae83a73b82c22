"""Correct a model's generation config that contradicts itself, so that the model can be saved.

The library loads such a file and refuses to write it, which would lose a trained epoch.
"""

import warnings
from typing import Any

# what only sampling uses, and what only a search with several beams uses
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h")
_BEAMS = ("early_stopping", "length_penalty", "num_beam_groups", "diversity_penalty", "constraints", "force_words_ids")


def make_consistent(model: Any) -> None:
    """Make ``model.generation_config`` one that can be saved; token ids stay, contradictions go."""
    config = getattr(model, "generation_config", None)
    if config is None or _valid(config):
        return
    if not config.do_sample:
        _unset(config, _SAMPLING)
    if (config.num_beams or 1) == 1:
        _unset(config, _BEAMS)
    if _valid(config):
        return
    # something else is wrong with it: only what generation cannot do without is kept
    ids = {name: getattr(config, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = type(config)(**ids)


def _unset(config: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if hasattr(config, name):
            setattr(config, name, None)


def _valid(config: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config.validate(strict=True)
        except (ValueError, TypeError):
            return False
    return True
