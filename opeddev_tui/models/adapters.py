"""Choose the layers that get adapters, and refuse names that no adapter can be trained on."""

from typing import Any

from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem


def is_linear(module: Any) -> bool:
    """True for linear layers, GPT-2's Conv1D included; asked by name, so that torch need not be loaded here."""
    return any(kind.__name__ in ("Linear", "Conv1D") for kind in type(module).__mro__)


def targets_of(lora: st.Lora) -> str | list[str]:
    """Return PEFT's ``target_modules``: "all-linear" or a list of names."""
    if lora.target_modules.strip() == "all-linear":
        return "all-linear"
    return [name.strip() for name in lora.target_modules.split(",") if name.strip()]


def check_targets(model: Any, lora: st.Lora) -> None:
    """Raise ``SettingsProblem`` where ``lora.target_modules`` names a layer that adapters cannot be trained on.

    ``model`` may be without weights.
    """
    targets = targets_of(lora)
    if targets == "all-linear":
        return
    modules = {name: module for name, module in model.named_modules() if name}
    if not targets:
        raise _problem("names no layer", modules)
    embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
    tied = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
    for target in targets:
        found = {name: item for name, item in modules.items() if name == target or name.endswith(f".{target}")}
        if not found:
            raise _problem(f"names {target}, which this model does not have", modules)
        wrong = next((item for item in found.values() if not _adaptable(item)), None)
        if wrong is not None:
            raise _problem(f"names {target}, which is a {type(wrong).__name__}, not a linear layer", modules)
        if tied and any(item is embedding for item in found.values() for embedding in embeddings):
            raise _problem(
                f"names {target}, whose weights are both embedding and output layer in this model: "
                "an adapter on one of them would change the other when it is merged",
                modules,
            )


def _adaptable(module: Any) -> bool:
    return is_linear(module) or any(kind.__name__ == "Embedding" for kind in type(module).__mro__)


def _problem(what: str, modules: dict[str, Any]) -> SettingsProblem:
    linear = {
        name.rpartition(".")[2]: None
        for name, module in modules.items()
        if is_linear(module) and not name.endswith("lm_head")
    }
    known = ", ".join(list(linear)[:12])
    return SettingsProblem(
        f"{what}.",
        where="lora.target_modules",
        cure=f'Use "all-linear", or names such as {known}.' if known else 'Use "all-linear".',
    )
