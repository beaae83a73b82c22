"""Attention for rows that are padded on the left and have many lengths.

PyTorch prefers cuDNN's attention in 16 bits on newer GPUs, and cuDNN prepares a plan for each length that it has not
seen. With rows as they are, and with texts that grow by a token, most lengths are new: on an H100 a batch of training
took 1.9 s instead of 0.2 s, a token of eight texts 0.47 s instead of 0.05 s. The other kernels prepare nothing and are
as fast on lengths seen before.

A position of the padding attends to nothing, and the backward pass of cuDNN's attention, which PyTorch prefers on newer
GPUs, may answer that with gradients that are not numbers: seen with bf16 on an H200, where the loss itself was finite,
as were the gradients of the other kernels. Such a position attends to everything here. Nothing reads it, so no result
changes.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from opeddev_tui.models.causal_lm import CausalLM

NAME = "sdpa_for_padding"


def attend_in_padding(model: CausalLM) -> None:
    """Give ``model`` that attention if it uses PyTorch's and can change it; others have kernels of their own."""
    changeable: Any = model
    if changeable.config._attn_implementation == "sdpa" and changeable._can_set_attn_implementation():
        AttentionInterface.register(NAME, sdpa_attention_forward)
        AttentionMaskInterface.register(NAME, _mask)
        changeable.set_attn_implementation(NAME)


def leave_out_cudnn() -> None:
    """Have PyTorch choose among its own attention kernels, in the whole process."""
    torch.backends.cuda.enable_cudnn_sdp(False)


def _mask(*arguments: Any, **options: Any) -> torch.Tensor | None:
    """Return who attends to whom, [rows, 1, tokens, tokens] or None, without a position that sees nothing."""
    mask: torch.Tensor | None = sdpa_mask(*arguments, **options)
    return None if mask is None else mask | ~mask.any(-1, keepdim=True)
