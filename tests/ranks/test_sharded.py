"""Two ranks with a shard of the model each train what two with a whole copy do; their checkpoints are as any other."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
import torch
from engine_helpers import of
from hands import Hands

from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Pause, Resume, SampleNow, SaveNow
from opeddev_tui.training.processes import resolved

Make = Callable[..., Path]
SHARDED = {"training.shard": True}
ADAPTERS = {
    "lora.enabled": True,
    "lora.lora_dropout": 0.1,
    "training.activation_checkpointing": True,
    "training.num_train_epochs": 1,
    "training.per_device_train_batch_size": 1,
    "training.gradient_accumulation_steps": 2,
    "grading.evaluate": False,
}


def last_checkpoint(root: Path) -> Path:
    return eh.place_of(root, of(root, ev.RunFinished)[0].last_checkpoint)


def losses(root: Path) -> dict[int, float]:
    """Return the loss of each optimizer step; of one that was trained again, the last."""
    return {event.global_step: event.loss for event in of(root, ev.Progress) if event.loss is not None}


def test_the_journal_says_what_it_says_of_whole_copies(trained_by_two: Path, trained_sharded: Path) -> None:
    whole, sharded = trained_by_two, trained_sharded
    rows = [[(e.epoch, e.rows) for e in of(root, ev.RowsTrained)] for root in (whole, sharded)]
    assert rows[0] == rows[1]
    assert [e.choice for e in of(sharded, ev.Decided)] == [e.choice for e in of(whole, ev.Decided)]
    assert losses(sharded) == pytest.approx(losses(whole), abs=1e-5)
    norms = [[e.grad_norm for e in of(root, ev.Progress)] for root in (sharded, whole)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    texts = [[[s.text for s in e.samples] for e in of(root, ev.SamplesGenerated)] for root in (whole, sharded)]
    assert texts[0] == texts[1]
    grades = [[(way.way, way.grades) for e in of(root, ev.GradesRead) for way in e.ways] for root in (whole, sharded)]
    assert grades[0] == grades[1]
    scored = [of(root, ev.HoldoutEvaluated) for root in (whole, sharded)]
    assert scored[0][0].sums == scored[1][0].sums
    assert [e.loss for e in scored[0]] == pytest.approx([e.loss for e in scored[1]], abs=1e-5)
    assert len({e.fingerprint for e in of(sharded, ev.SamplesGenerated)}) == 4


def test_a_checkpoint_has_the_files_of_any_other(trained_by_two: Path, trained_sharded: Path) -> None:
    from safetensors import safe_open

    whole, sharded = last_checkpoint(trained_by_two), last_checkpoint(trained_sharded)
    assert {path.name for path in sharded.iterdir()} == {path.name for path in whole.iterdir()}
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        assert (sharded / name).read_bytes() == (whole / name).read_bytes()
    with safe_open(whole / "model.safetensors", "pt") as one, safe_open(sharded / "model.safetensors", "pt") as other:
        assert set(one.keys()) == set(other.keys())
        for name in one.keys():  # noqa: SIM118 - no mapping
            torch.testing.assert_close(one.get_tensor(name), other.get_tensor(name), atol=1e-3, rtol=1e-3)


def test_paused_looked_at_saved_and_killed_it_resumes_to_the_same_weights(
    trained_sharded: Path, ranks_factory: Make, hands: Hands
) -> None:
    root, control = ranks_factory(**SHARDED), Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7:
            control.request(Pause())
        elif isinstance(event, ev.Paused):
            for command in (SampleNow(), SaveNow(), SampleNow(), Resume()):
                control.request(command)
        elif isinstance(event, ev.Progress) and event.global_step == 10:
            hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match=r"rank 1 of 2 on \S+ was killed by SIGKILL.*resumes"):
        eh.train(root, sink=eh.Seen(react), control=control)
    looked = [e for e in of(root, ev.SamplesGenerated) if e.on_demand]
    assert len(looked) == 2
    assert looked[0].fingerprint == looked[1].fingerprint
    with pytest.raises(TrainingProblem, match=r"training\.shard was True and is False"):
        eh.train(root, overrides=["training.shard=false"])
    eh.train(root)
    assert of(root, ev.Resumed)[-1].global_step == 8
    assert eh.final_weights(root) == eh.final_weights(trained_sharded)
    # nothing of it is left for the next training in this process
    assert not any("FSDP" in name for name in os.environ)


def test_adapters_train_as_with_whole_copies_and_resume_exactly(ranks_factory: Make, hands: Hands) -> None:
    whole, sharded, again = (ranks_factory(**{**ADAPTERS, "training.shard": shard}) for shard in (False, True, True))
    for root in (whole, sharded):
        eh.train(root)
    assert losses(sharded) == pytest.approx(losses(whole), abs=1e-5)
    control = Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 2:
            control.request(SaveNow())
        elif isinstance(event, ev.Progress) and event.global_step == 4:
            hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match="SIGKILL"):
        eh.train(again, sink=eh.Seen(react), control=control)
    eh.train(again)
    assert of(again, ev.Resumed)[-1].global_step == 3
    assert eh.final_weights(again) == eh.final_weights(sharded)
    names = [{path.name for path in last_checkpoint(root).iterdir()} for root in (whole, sharded)]
    assert names[0] == names[1]


def test_one_process_goes_on_from_its_checkpoint_and_exports_it(trained_sharded: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    root = eh.copy_workspace(trained_sharded, tmp_path / "copy")
    checkpoint = last_checkpoint(root)
    eh.write_rows(eh.batch_file(root, 1), eh.make_rows(8, "batch1"))
    short = ["training.num_train_epochs=1", "grading.evaluate=false"]
    eh.train(root, overrides=["training.shard=false", "training.num_processes=1", *short])
    last = eh.states(root)[-1]
    assert (last.begun.step, last.finished is not None) == (1, True)
    assert eh.place_of(root, last.begun.parent) == checkpoint
    exported = tmp_path / "exported"
    name = f"{checkpoint.parent.name}/{checkpoint.name}"
    assert main(["checkpoints", "export", name, str(exported), "-w", str(root)]) == 0
    model = AutoModelForCausalLM.from_pretrained(exported, dtype="auto")
    saved, loaded = load_file(checkpoint / "model.safetensors"), model.state_dict()
    assert all(torch.equal(loaded[name], weight.to(torch.bfloat16)) for name, weight in saved.items())


def test_an_optimizer_that_keeps_nothing_resumes_to_the_same_weights_too(ranks_factory: Make, hands: Hands) -> None:
    sgd = {"training.arguments": {"optim": "sgd"}, "training.num_train_epochs": 1, "grading.evaluate": False}
    undisturbed, killed = (ranks_factory(**{**SHARDED, **sgd}) for _ in range(2))
    eh.train(undisturbed)
    control = Control()
    control.request(SaveNow())

    def kill(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 3:
            hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match="SIGKILL"):
        eh.train(killed, sink=eh.Seen(kill), control=control)
    eh.train(killed)
    assert of(killed, ev.Resumed)[-1].global_step == 1
    assert eh.final_weights(killed) == eh.final_weights(undisturbed)


def one_weight_is_infinite() -> None:
    from opeddev_tui.models import sharding
    from opeddev_tui.training import hand_trainer

    right = hand_trainer.HandTrainer.take_part_in_saving

    def broken(self: hand_trainer.HandTrainer) -> None:
        sharding.release(self.model)
        last = list(self.model.parameters())[-1]  # type: ignore[union-attr] # there is a model
        last.data.to_local().fill_(torch.inf)  # type: ignore[attr-defined] # it is sharded
        right(self)

    hand_trainer.HandTrainer.take_part_in_saving = broken  # type: ignore[method-assign] # in a process of its own


def test_a_weight_that_is_not_finite_in_another_rank_s_shard_is_not_saved(ranks_factory: Make, hands: Hands) -> None:
    short = {"training.num_train_epochs": 1, "grading.evaluate": False, "generation.num_probes": 0}
    root = ranks_factory(**{**SHARDED, **short})
    hands.faults[1] = one_weight_is_infinite
    with pytest.raises(TrainingProblem, match="became nan at optimizer step 6"):
        eh.train(root)
    (failed,) = of(root, ev.RunFailed)
    assert (failed.kind, failed.resumable, of(root, ev.CheckpointSaved)) == ("non-finite", False, [])


def no_memory_to_gather() -> None:
    from opeddev_tui.training import hand

    def fails(model: object) -> None:
        if hand.sharding.is_sharded(model):
            raise MemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    hand.sharding.gather = fails


def test_a_lack_of_memory_while_it_is_gathered_halves_the_batch_of_all(ranks_factory: Make, hands: Hands) -> None:
    root = ranks_factory(**{**SHARDED, "training.num_train_epochs": 1, "grading.evaluate": False})
    hands.faults[1] = no_memory_to_gather
    eh.train(root)
    (retried,) = of(root, ev.MemoryRetried)
    assert (retried.batch_size, retried.accumulation, hands.started) == (1, 2, 2)
    assert eh.states(root)[-1].finished is not None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["training.num_processes=1"], "training.shard shards a model over several processes, but one trains"),
        (["training.num_processes=0"], "but one trains"),
        (["training.num_processes=2", "model.device_map=balanced"], "model.device_map = balanced"),
        (["training.num_processes=2", "training.arguments.optim='adafactor'"], "the optimizer adafactor is not among"),
    ],
)
def test_what_cannot_be_sharded_is_refused_with_the_cure(overrides: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsProblem, match=words) as refused:
        resolved(load(tmp_path, environment={}, overrides=["training.shard=true", *overrides]))
    assert refused.value.cure
