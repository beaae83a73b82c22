"""Owns random two-layer models of every causal type."""

import inspect
from typing import Any

import torch

# the sizes of a tiny model, under every name that a configuration uses for them
SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("hidden_size", "n_embd", "d_model", "embedding_size", "word_embed_proj_dim", "attention_hidden_size"), 32
    ),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    **dict.fromkeys(("attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout"), 0.0),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "activation_dropout"), 0.0),
    **dict.fromkeys(("num_experts", "num_local_experts"), 4),
    "vocab_size": 97,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rotary_dim": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "state_size": 8,
    "time_step_rank": 4,
    "query_pre_attn_scalar": 8,
    "sliding_window": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "is_decoder": True,
    "attention_types": [[["global", "local"], 1]],
}


def tiny(kind: str) -> Any:
    """Return a random model of type ``kind``, the same each time."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[kind]
    known = set(inspect.signature(config_class.__init__).parameters)
    config = config_class(**{name: value for name, value in SIZES.items() if name in known})
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).float().eval()
