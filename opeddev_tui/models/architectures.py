"""Know how model types differ in what they take: padding side, position ids, context, causality.

Found by comparing padded batches with the same rows alone on small random models of every causal type; the tests
repeat that for a table of them. No weights are read here.
"""

import inspect
from typing import Any

from opeddev_tui.models.token_rows import BatchForm

# encoders with a causal class: without is_decoder = true in their configuration they look ahead
ENCODERS = frozenset(
    [
        "bert",
        "bert-generation",
        "big_bird",
        "camembert",
        "data2vec-text",
        "electra",
        "ernie",
        "megatron-bert",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
        "reformer",
    ]
)
# in the table of causal classes, but their own loss is another one, or not shifted to the next token
OTHER_LOSS = frozenset(
    (
        *("xlm", "xlnet", "git", "cpmant", "whisper", "trocr", "reformer", "xmod", "bart", "bigbird_pegasus"),
        *("blenderbot", "blenderbot-small", "marian", "mbart", "mvp", "pegasus", "plbart", "prophetnet"),
    )
)
# positions counted by the model from the padding id on: it gives none of its own a number up to that id
_COUNTED_FROM_PADDING = frozenset(
    {"camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl"}
)
# no position ids, and none needed: distances, rotations by distance, or a state that skips padding
_RELATIVE = frozenset({"bloom", "mpt", "mamba", "falcon_mamba", "roformer"})
# the state runs over padding, so only padding on the right leaves a row as it is
_FROM_THE_FIRST_COLUMN = frozenset({"rwkv"})
# nothing in them ends where a context ends
_UNBOUNDED = frozenset({"bloom", "mpt", "mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm", "recurrent_gemma"})
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")


def positions_of(config: Any) -> int | None:
    """Return the context of a text configuration in tokens, None where it has no bound."""
    kind = getattr(config, "model_type", "")
    if kind in _UNBOUNDED:
        return None
    for name in _POSITIONS:
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value - (config.pad_token_id or 0) - 1 if kind in _COUNTED_FROM_PADDING else value
    return None


def batch_form(model: Any) -> BatchForm:
    """Return how ``model`` (adapters or not) takes padded batches.

    The causal types of Transformers are known; a model with code of its own is asked by its signature.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    kind = getattr(inner.config, "model_type", "")
    if kind in _FROM_THE_FIRST_COLUMN:
        return BatchForm(left=False, positions=False, kept_head=False)
    if kind in CAUSAL:
        return BatchForm(positions=kind not in _COUNTED_FROM_PADDING | _RELATIVE)
    takes = inspect.signature(inner.forward).parameters
    if "position_ids" not in takes:
        return BatchForm(left=False, positions=False, kept_head=False)
    return BatchForm(kept_head="logits_to_keep" in takes)


def decoder_depth(model: Any) -> int:
    """Return how many decoder layers the configuration of ``model`` names, 0 where it names none."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    return int(getattr(config, "num_hidden_layers", 0))


def decoder_layers(model: Any) -> Any | None:
    """Return the ``ModuleList`` of the model's decoder layers, whatever its architecture calls it; None: not found."""
    from torch.nn import ModuleList

    depth = decoder_depth(model)
    lists = (module for module in model.modules() if isinstance(module, ModuleList))
    return next((found for found in lists if len(found) == depth > 0), None)
