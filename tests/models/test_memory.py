"""The estimate before loading: the largest phase counts, and the advice is about what is too large."""

from pathlib import Path

import engine_helpers as helpers
import msgspec
import pytest

from opeddev_tui.config import loading
from opeddev_tui.config import settings as st
from opeddev_tui.models import loading as models
from opeddev_tui.models import memory
from opeddev_tui.models.fingerprint import parameter_counts
from opeddev_tui.models.memory import BatchShape, Sizes
from opeddev_tui.runs import events as ev

GB = 10**9
# SmolLM2-135M, from its configuration
SMOLLM = Sizes(
    parameters=134_515_008,
    lora_per_rank=30 * (4 * 576 + 2 * 576 + 2 * 192 + 3 * (576 + 1536)),
    linear_inputs=30 * (6 * 576 + 1536),
    hidden=576,
    intermediate=1536,
    attention=576,
    key_value=192,
    layers=30,
    vocabulary=49_152,
)


def settings_of(**tables: dict[str, object]) -> st.Settings:
    return loading.resolve([loading.Layer("test", dict(tables))]).settings


def estimated(
    settings: st.Settings,
    *,
    sizes: Sizes = SMOLLM,
    free: int = 100 * GB,
    train: BatchShape = BatchShape(100, 512, 150),  # noqa: B008 - immutable
    holdout: BatchShape = BatchShape(100, 512, 150),  # noqa: B008
    sixteen_bit: bool = False,
) -> ev.MemoryEstimated:
    return memory.estimate(sizes, settings, sixteen_bit=sixteen_bit, train=train, holdout=holdout, free=free)


def lora(train: int, evaluated: int) -> st.Settings:
    return settings_of(
        lora={"enabled": True},
        training={"per_device_train_batch_size": train, "per_device_eval_batch_size": evaluated},
    )


def test_adapters_of_a_real_model_need_what_was_measured() -> None:
    """A process that trained this reached 7.4 GB, 0.5 GB of them libraries."""
    assert estimated(lora(4, 8)).total == pytest.approx(6.9 * GB, rel=0.3)


def test_the_largest_phase_is_the_total() -> None:
    trains, scores = estimated(lora(4, 8)), estimated(lora(1, 64))
    assert (trains.peak, scores.peak) == ("training", "evaluation")
    for found in (trains, scores):
        phases = (found.gradients + found.activations, found.evaluation, found.generation)
        assert found.total == int((found.weights + found.optimizer + max(phases)) * 1.1)


def test_the_logits_of_a_hold_out_batch_count_and_never_more_rows_than_there_are() -> None:
    one, many = estimated(lora(1, 1)), estimated(lora(1, 64))
    assert many.evaluation == 64 * one.evaluation
    assert many.evaluation >= 64 * 151 * 49_152 * 4 * 3
    assert estimated(lora(1, 64), holdout=BatchShape(5, 512, 150)).evaluation == 5 * one.evaluation


def test_generation_keeps_keys_and_values_of_every_layer() -> None:
    short = estimated(settings_of(generation={"max_new_tokens": 100}))
    long = estimated(settings_of(generation={"max_new_tokens": 1100}))
    # two prompts an evaluation row, up to generation.batch_size
    assert memory.generation_batch(settings_of()) == 8
    assert long.generation - short.generation == 8 * 1000 * 2 * 192 * 31 * 4


@pytest.mark.parametrize(
    ("train", "evaluated", "first"),
    [
        (16, 1, "training.activation_checkpointing"),
        (1, 64, "training.per_device_eval_batch_size = 16 instead of 64"),
    ],
)
def test_the_advice_is_about_the_phase_that_is_too_large(train: int, evaluated: int, first: str) -> None:
    wanted = lora(train, evaluated)
    whole = estimated(wanted)
    assert (whole.verdict, whole.advice) == ("fits", ())
    tight = estimated(wanted, free=int(whole.total * 1.05))
    assert tight.verdict == "tight"
    none = estimated(wanted, free=whole.total - 1)
    assert none.verdict == "will not fit"
    assert none.advice[0].startswith(first)
    # what is small already is not advised
    assert not any("lora.enabled" in line for line in none.advice)
    assert any("eval_batch" in line for line in none.advice) is (evaluated > 1)
    assert any("train_batch" in line for line in none.advice) is (train > 1)


def test_what_is_advised_makes_it_smaller() -> None:
    whole = estimated(lora(1, 64))
    advised = estimated(lora(1, 16), free=whole.total - 1)
    assert advised.total < whole.total / 2
    assert advised.verdict == "fits"


def test_recomputing_and_adapters_and_sixteen_bits_need_less() -> None:
    full = settings_of(training={"per_device_train_batch_size": 8})
    again = settings_of(training={"per_device_train_batch_size": 8, "activation_checkpointing": True})
    assert estimated(again).activations < estimated(full).activations / 2
    assert estimated(full, sixteen_bit=True).activations < estimated(full).activations
    assert estimated(lora(8, 4)).optimizer < estimated(full).optimizer / 20


def test_each_of_several_processes_needs_its_gradients_twice_and_has_a_gpu_of_its_own() -> None:
    one, two = (estimated(settings_of(training={"num_processes": number})) for number in (1, 2))
    assert two.gradients == 2 * one.gradients == 2 * 4 * SMOLLM.parameters
    assert (two.optimizer, two.weights, two.checkpoint) == (one.optimizer, one.weights, one.checkpoint)
    adapters = estimated(settings_of(lora={"enabled": True}, training={"num_processes": 2}))
    assert adapters.gradients == 2 * 4 * adapters.trainable
    # one process spreads its model over all; of several each has one, and the fullest is the limit
    assert memory.free_for_each([8 * GB, 6 * GB, 2 * GB], 1) == 16 * GB
    assert memory.free_for_each([8 * GB, 6 * GB, 2 * GB], 2) == 6 * GB
    assert memory.free_for_each([8 * GB, 6 * GB, 2 * GB], 8) == 2 * GB


def test_of_a_sharded_model_each_process_needs_its_share_and_what_is_gathered() -> None:
    whole, two, eight = (
        estimated(settings_of(training={"num_processes": count, "shard": count > 1}), sixteen_bit=True)
        for count in (1, 2, 8)
    )
    parameters, embedding = SMOLLM.parameters, SMOLLM.vocabulary * SMOLLM.hidden
    assert (two.weights, two.gradients, two.optimizer) == (2 * parameters, 2 * parameters, 4 * parameters)
    assert eight.optimizer == parameters
    # the embedding is larger than a layer: twice in 16 bits, its gradients in 16 bits and in float32
    assert two.activations - whole.activations == embedding * (2 + 2 + 2 + 4)
    # while it scores, a copy in 16 bits; with many processes the whole model before the first step needs more
    assert two.evaluation - whole.evaluation == two.generation - whole.generation == 2 * parameters
    assert eight.evaluation + eight.weights + eight.optimizer == whole.evaluation + whole.weights
    assert two.checkpoint == whole.checkpoint
    adapters = estimated(settings_of(lora={"enabled": True}, training={"num_processes": 2, "shard": True}))
    assert adapters.weights == 2 * (parameters + adapters.trainable)
    assert adapters.activations - estimated(settings_of(lora={"enabled": True})).activations < embedding * 9


QWEN_4B = Sizes(4_022_468_096, 2_064_384, 958_464, 2560, 9728, 4096, 1024, 36, 151_936)


@pytest.mark.parametrize(
    ("processes", "free", "first"),
    [
        (2, 60, "lora.enabled"),
        # adapters alone keep the activations of every layer; a quarter of the model and of the optimizer is less
        (4, 45, "training.shard"),
        # one process has nobody to share with
        (1, 60, "lora.enabled"),
    ],
)
def test_what_is_enough_by_itself_is_advised_first(processes: int, free: int, first: str) -> None:
    training = {"num_processes": processes, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 4}
    shape = BatchShape(1000, 1024, 256)
    wanted = settings_of(training=training)
    found = estimated(wanted, sizes=QWEN_4B, free=free * 2**30, train=shape, holdout=shape, sixteen_bit=True)
    assert found.verdict == "will not fit"
    assert found.advice[0].startswith(first)
    assert any("training.shard" in line for line in found.advice) is (processes > 1)


def test_a_sharded_training_is_not_advised_to_shard() -> None:
    wanted = settings_of(training={"num_processes": 2, "shard": True})
    found = estimated(wanted, free=GB)
    assert found.advice
    assert not any("training.shard" in line for line in found.advice)


def test_sizes_are_those_of_the_model(tiny_model: Path) -> None:
    sizes = memory.sizes_of(memory.empty_model(str(tiny_model), st.Model()))
    model = models.load_model(str(tiny_model), st.Model())
    assert sizes.parameters == parameter_counts(model)[0]
    wide = [item for item in model.modules() if type(item).__name__ == "Linear" and item is not model.lm_head]
    assert sizes.linear_inputs == sum(item.in_features for item in wide)
    attention = model.model.layers[0].self_attn
    assert (sizes.attention, sizes.key_value) == (attention.q_proj.out_features, attention.k_proj.out_features)


def test_a_run_records_the_estimate_and_old_journals_have_none_of_the_new_fields(trained_workspace: Path) -> None:
    found = helpers.states(trained_workspace)[0].memory
    assert found is not None
    assert found.peak in ("training", "evaluation", "generation")
    assert min(found.evaluation, found.generation, found.activations) > 0
    old = msgspec.to_builtins(found)
    for name in ("evaluation", "generation", "peak"):
        del old[name]
    assert msgspec.convert(old, ev.MemoryEstimated).peak == ""
