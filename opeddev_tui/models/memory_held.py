"""Count what one process holds of a model all through a training: weights, gradients, optimizer, or its shards."""

from msgspec import Struct

from opeddev_tui.config import settings as st

ADAM_BYTES = 8
MASTER_BYTES = 4


class Held(Struct, frozen=True):
    """The bytes that one process holds: ``unit`` beside its shards while it trains, ``copy`` while it scores or writes.

    Both are 0 where the model is not sharded.
    """

    trainable: int
    weights: int
    gradients: int
    optimizer: int
    unit: int = 0
    copy: int = 0


def held(settings: st.Settings, *, parameters: int, adapters: int, unit: int, sixteen_bit: bool) -> Held:
    """Return the bytes that each process of ``settings`` holds of a model with ``parameters``.

    ``adapters`` are the parameters of its adapters, where they are trained; ``unit`` those that are gathered at once.
    """
    lora, count = settings.lora.enabled, settings.training.num_processes
    trainable = adapters if lora else parameters
    every = parameters + (trainable if lora else 0)
    masters, gradients, optimizer = MASTER_BYTES * every, MASTER_BYTES * trainable, ADAM_BYTES * trainable
    # autocast makes a 16-bit copy of every weight that it multiplies with
    weights = masters + (2 * parameters if sixteen_bit else 0)
    if count == 1:
        return Held(trainable, weights, gradients, optimizer)
    if not settings.training.shard:
        # what is exchanged with the other processes is a copy
        return Held(trainable, weights, 2 * gradients, optimizer)
    element = 2 if sixteen_bit else MASTER_BYTES
    own_weights, own_optimizer = masters // count, optimizer // count
    # before the first optimizer step the model is whole, as it was loaded, and there is no optimizer
    copy = max(element * every, weights - own_weights - own_optimizer)
    # the one that is computed and the next; of what trains also its gradients, and the float32 in which they are sent
    gathered = unit * (2 * element + (element + MASTER_BYTES) * trainable // every)
    return Held(trainable, own_weights, gradients // count, own_optimizer, gathered, copy)
