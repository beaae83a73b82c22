"""Make the demo's workspace: its settings, its data, its toy model.

Must not change what exists already.
"""

from pathlib import Path

from opeddev_tui.config.loading import CONFIG_NAME, load
from opeddev_tui.config.settings import Settings
from opeddev_tui.demo.about import MODEL
from opeddev_tui.demo.dataset import write_dataset
from opeddev_tui.files import write_atomic
from opeddev_tui.workspace.setup import make_workspace

# random weights need a larger learning rate than pretrained ones; what is not named here has its default
CONFIG = f"""\
# Settings of the demo. All settings with their defaults: the config.toml that `opeddev-tui init` writes.

[model]
name = "{MODEL}"  # made here from a seed

[data]
max_length = 512

[training]
per_device_train_batch_size = 4
per_device_eval_batch_size = 16
learning_rate = 3e-3
resume_learning_rate = 3e-4
start_from = "best"

[generation]
max_new_tokens = 64
"""


def make_demo(root: Path) -> None:
    """Make the demo workspace at ``root``: some seconds the first time, nothing after that."""
    if not (root / CONFIG_NAME).exists():
        write_atomic(root / CONFIG_NAME, CONFIG.encode())
    settings = load(root, environment={}).settings
    make_workspace(root)
    if not any((root / settings.paths.base).iterdir()):
        write_dataset(root, settings.paths)
    if not (root / MODEL / "model.safetensors").exists():
        _make_model(root, settings)


def _make_model(root: Path, settings: Settings) -> None:
    """Make the toy model; its tokenizer is trained on the training rows."""
    from opeddev_tui.data.batches import find_batches, load_batch
    from opeddev_tui.demo.model import build_tiny_model

    examples = [
        example for batch in find_batches(root, settings.paths) for example in load_batch(batch, settings).examples
    ]
    texts = [message.content for example in examples for message in example.prompt]
    build_tiny_model(root / MODEL, [*texts, *(example.completion for example in examples)])
