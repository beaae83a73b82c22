"""Read a model's configuration without its weights, and refuse what cannot be trained here.

Of a multimodal model the text part is trained. Nothing large is read: configuration files only.
"""

from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data import hub_reach
from opeddev_tui.errors import ModelProblem, ran_out_of_memory
from opeddev_tui.models.architectures import ENCODERS, OTHER_LOSS, positions_of
from opeddev_tui.models.place import cached_folder
from opeddev_tui.text import clean_line

# what the libraries raise for a model that is not there, not whole, not one they know, or that needs another package
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
# where the text part's weights lie in multimodal checkpoints, and where they lie in a model of text alone
TEXT_WEIGHTS = {
    r"^(?:model\.)?(?:language_model|text_model)\.lm_head\.": "lm_head.",
    r"^(?:model\.)?(?:language_model|text_model)\.(?:model\.)?": "model.",
}
_POINTER = b"version https://git-lfs"
_DECODER = "Take a causal (decoder-only) language model."


class ModelConfig(Struct, frozen=True):
    """The configuration of what is trained.

    ``text`` is the text part's configuration; ``whole`` is False where that is a part of a multimodal model.
    ``vocabulary`` is the number of rows of the embedding, ``positions`` the context in tokens, None without a bound.
    """

    text: Any
    whole: bool
    vocabulary: int
    positions: int | None


def revision_of(source: str, model: st.Model) -> dict[str, str]:
    """Return the ``revision`` argument for loading ``source``: none for a local folder."""
    return {} if Path(source).is_dir() else {"revision": model.revision}


def without_hub(source: str, model: st.Model) -> str:
    """Return a sentence on what is used where the hub cannot be reached, "" where ``source`` is a folder or it can."""
    reason = "" if Path(source).is_dir() else hub_reach.why_out_of_reach()
    if not reason:
        return ""
    used = "what was fetched before is used" if cached_folder(source, model.revision) else "nothing was fetched before"
    return f"the hub cannot be reached ({reason}): of {clean_line(source)} {used}."


def loading_problem(source: str, what: str, error: BaseException) -> ModelProblem:
    """Return the clear sentence for a ``what`` (model, tokenizer, …) that cannot be loaded from ``source``."""
    if ran_out_of_memory(error):
        return ModelProblem(
            f"the {what} of {source} does not fit into memory: {str(error).strip().splitlines()[0][:200]}",
            where="model.name",
            cure="End what else uses the memory (nvidia-smi shows it for a GPU), or take a smaller model.",
        )
    local = Path(source).is_dir()
    cure = (
        "Is it a complete model folder (config.json, model.safetensors, tokenizer.json)?"
        if local
        else "Check model.name and the network, or download the model and set model.name to its folder."
    )
    if not local and (reason := hub_reach.why_out_of_reach()):
        away = f"the hub cannot be reached ({reason}), and not all of it was fetched before"
        return ModelProblem(f"the {what} of {source} cannot be loaded: {away}.", where="model.name", cure=cure)
    if local and not (Path(source) / "tokenizer.json").exists() and any(Path(source).glob("*.model")):
        cure = "It has tokenizer.model without tokenizer.json: take the folder of a newer release, which has both."
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip().rstrip(".:")
    return ModelProblem(f"the {what} of {source} cannot be loaded: {first_line}.", where="model.name", cure=cure)


def is_out_of_reach(error: BaseException | None) -> bool:
    """True where a hub model is neither in the cache nor reachable, as without a network; False if it is wrong."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    while error is not None:
        if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | ConnectionError):
            return True
        error = error.__cause__ or error.__context__
    return False


def load_config(source: str, model: st.Model) -> ModelConfig:
    """Return the configuration of the model at ``source``; raises ``ModelProblem`` for what cannot be trained."""
    from transformers import AutoConfig

    _refuse_other_folders(source)
    try:
        with hub_reach.as_far_as_it_is(source):
            config = AutoConfig.from_pretrained(
                source, trust_remote_code=model.trust_remote_code, **revision_of(source, model)
            )
    except LOADING_ERRORS as error:
        raise loading_problem(source, "configuration", error) from error
    return of_config(config, source)


def _refuse_other_folders(source: str) -> None:
    """Refuse folders that people take for models and that are none: unfetched pointers, adapters alone, GGUF files."""
    folder = Path(source)
    if folder.is_dir() and (pointer := next(filter(_is_pointer, sorted(folder.iterdir())), None)) is not None:
        reason = f"{pointer.name} is only a pointer to the file (Git LFS)"
        raise _unfit(source, reason, "Fetch the files: git lfs pull.")
    if not folder.is_dir() or (folder / "config.json").exists():
        return
    if (folder / "adapter_config.json").exists():
        raise _unfit(source, "it holds adapters alone", "Merge them into their base model, and set model.name to that.")
    if any(folder.glob("*.gguf")):
        raise _unfit(source, "it holds GGUF files", "Take the model in safetensors that they were made from.")


def _is_pointer(file: Path) -> bool:
    """Say whether ``file`` is what Git writes in place of a large file that was not fetched."""
    if file.suffix not in (".json", ".safetensors", ".model") or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(len(_POINTER)) == _POINTER
    except OSError:
        return False  # told by who needs the file


def of_config(config: Any, source: str) -> ModelConfig:
    """Return what is trained of a model with ``config``; raises ``ModelProblem`` where nothing can be."""
    _refuse_quantized(config, source)
    text = _text_part(config, source)
    vocabulary = getattr(text, "vocab_size", None)
    if not isinstance(vocabulary, int) or vocabulary < 1:
        raise _unfit(source, "its configuration names no vocab_size", "Take a causal language model.")
    return ModelConfig(text, text is config, vocabulary, positions_of(text))


def _refuse_quantized(config: Any, source: str) -> None:
    found = getattr(config, "quantization_config", None) or getattr(
        config.get_text_config(), "quantization_config", None
    )
    if not found:
        return
    method = found.get("quant_method", "") if isinstance(found, dict) else getattr(found, "quant_method", "")
    name = f" ({getattr(method, 'value', method)})" if method else ""
    raise _unfit(source, f"it is quantized{name}", "Take the unquantized model that it was made from.")


def _text_part(config: Any, source: str) -> Any:
    """Return the configuration of the text part: ``config`` itself where the model is of text alone."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    text = config.get_text_config(decoder=True)
    kind = getattr(text, "model_type", "")
    remote = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if getattr(config, "is_encoder_decoder", False):
        raise _unfit(
            source, f"{config.model_type} is an encoder-decoder model", "Take a causal (decoder-only) language model."
        )
    if kind not in CAUSAL and not remote:
        part = "the text part of a multimodal model that cannot be loaded alone" if text is not config else "no causal"
        reason = f"{kind} is {part}{' language model' if text is config else ''}"
        raise _unfit(source, reason, "Take a causal language model, one for text.")
    if kind in OTHER_LOSS:
        raise _unfit(source, f"{kind} has another loss than a causal one", "Take a causal language model.")
    if getattr(text, "is_decoder", True) is False and kind in ENCODERS:
        raise _unfit(
            source,
            f"{kind} is an encoder, in which every token sees the answer",
            _DECODER,
        )
    return text


def _unfit(source: str, reason: str, cure: str) -> ModelProblem:
    return ModelProblem(f"{source} cannot be trained: {reason}.", where="model.name", cure=cure)
