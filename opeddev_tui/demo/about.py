"""Tell a demo from other workspaces, and say what it is for. Must stay cheap: the app asks before its first frame."""

from pathlib import Path

from opeddev_tui.config.settings import Settings

# the toy model, in the workspace
MODEL = "models/tiny-qwen3"


def is_demo(settings: Settings) -> bool:
    """Return whether ``settings`` are those of a demo: it trains the toy model."""
    return settings.model.name == MODEL


def about(root: Path) -> str:
    """Return what the demo at ``root`` shows, and what it does not."""
    return f"The demo, in {root.name}, shows how the app works; its toy model does not learn to grade well."
