"""Everything that trains, loaded before the processes that tests fork, and hidden from the garbage collector.

A collection looks at all that is alive, and the libraries are a million objects: it takes longer than the training of
the tiny model.
"""

import gc
import importlib

for _name in (
    "opeddev_tui.training.steps",
    "opeddev_tui.commands.console",
    "transformers.models.qwen3.modeling_qwen3",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "opeddev_tui.training.hand",
    "opeddev_tui.commands.rank",
    "torch.distributed",
):
    importlib.import_module(_name)
gc.collect()
gc.freeze()
