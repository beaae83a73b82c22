"""A step with several seeds: a run each, one of them the step's, taken up again where it was killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
from forked_children import fork_children
from made_up_children import Children
from places import gone
from pty_tools import until
from recorded_training import without_learning

from opeddev_tui import __version__
from opeddev_tui.analysis.seed_figures import StepSpread, choose, spread_of
from opeddev_tui.checkpoints import catalog
from opeddev_tui.cli import main
from opeddev_tui.commands.status import status
from opeddev_tui.config.settings import Training
from opeddev_tui.errors import ModelProblem, SettingsProblem, TrainingProblem
from opeddev_tui.groups.children import Child, Work
from opeddev_tui.groups.gpus import environment_of, shares_of
from opeddev_tui.groups.requests import parse_seeds
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.groups import list_groups
from opeddev_tui.runs.history import finished_steps, list_runs
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.manifest import read as read_manifest
from opeddev_tui.runs.state import reduce

Make = Callable[..., Path]


def seeds_of(root: Path) -> StepSpread:
    """Return the figures of the newest group."""
    from opeddev_tui.analysis.seed_figures import step_spread

    workspace = eh.workspace_of(root)
    return step_spread(list_groups(workspace)[-1], list_runs(workspace))


def train(root: Path, *words: str) -> int:
    """Run ``opeddev-tui train`` here."""
    return main(["train", "-w", str(root), *words])


@pytest.mark.usefixtures("children")
def test_each_seed_is_a_run_and_the_best_one_alone_is_the_steps(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(batches=(20,))
    assert train(root, "--seeds", "3") == 0
    workspace = eh.workspace_of(root)
    spread, records = seeds_of(root), list_runs(workspace)
    assert [item.seed for item in spread.seeds] == [42, 43, 44]
    assert [record.state.begun.seed for record in records] == [42, 43, 44]
    # the made-up losses fall from run to run
    assert [item.chosen for item in spread.seeds] == [False, False, True]
    assert spread.loss is not None
    assert spread.loss.n == 3
    assert spread.loss.low == spread.seeds[2].loss
    best = records[2]
    assert finished_steps(records) == {0: best}
    manifest = read_manifest(workspace.last_run_args)
    assert manifest is not None
    assert manifest.run == best.id
    assert workspace.metrics_csv("metrics_step_base.csv").read_bytes() == (best.folder / "metrics.csv").read_bytes()
    output = capsys.readouterr().out
    assert "the seeds 42, 43, 44, one after the other; the rule decides after each epoch" in output
    assert "hold-out loss over the seeds:" in output
    assert "the best of 3 on the same hold-out" in output
    with without_learning():
        eh.train(root)
    assert list_runs(workspace)[-1].state.begun.parent.startswith(best.id)


@pytest.mark.usefixtures("children")
def test_another_seed_can_be_taken_later(workspace_factory: Make) -> None:
    root = workspace_factory(batches=(20,))
    assert train(root, "--seeds", "5,9", "--choose", "5") == 0
    workspace = eh.workspace_of(root)
    first, second = list_runs(workspace)
    assert finished_steps(list_runs(workspace))[0].id == first.id
    latest = catalog.find_entry(catalog.list_entries(workspace), "latest")
    assert latest.run == first.id
    assert main(["checkpoints", "take", second.id, "-w", str(root)]) == 0
    assert finished_steps(list_runs(workspace))[0].id == second.id
    assert [record.state.counts for record in list_runs(workspace)] == [False, True]
    assert catalog.find_entry(catalog.list_entries(workspace), "step0").run == second.id
    assert workspace.metrics_csv("metrics_step_base.csv").read_bytes() == (second.folder / "metrics.csv").read_bytes()
    # by one of its checkpoints, too
    assert main(["checkpoints", "take", f"{first.id}/checkpoint-2", "-w", str(root)]) == 0
    assert finished_steps(list_runs(workspace))[0].id == first.id


@pytest.mark.usefixtures("children")
def test_a_person_who_wants_to_choose_is_waited_for(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(batches=(20,))
    assert train(root, "--seeds", "2", "--choose", "ask") == 0
    assert "Choose the step's run: opeddev-tui checkpoints take" in capsys.readouterr().out
    with pytest.raises(TrainingProblem, match="none of them is chosen"):
        eh.train(root)
    run = list_runs(eh.workspace_of(root))[0].id
    assert main(["checkpoints", "take", run, "-w", str(root)]) == 0
    assert status(eh.workspace_of(root), eh.settings_of(root))["next_step"] == {"step": 1, "batch": "batch_100_01"}


def test_a_seed_that_fails_does_not_stop_the_others(
    workspace_factory: Make, children: Children, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    children.die = {"seed 43"}
    assert train(root, "--seeds", "3") == 0
    assert children.trained == ["seed 42", "seed 43", "seed 44", "seed 43"]
    assert "seed 43: its process was killed (SIGKILL); it goes on from its last checkpoint." in capsys.readouterr().out
    assert [record.state.status for record in list_runs(eh.workspace_of(root))] == ["finished"] * 3


def test_what_is_wrong_before_a_run_begins_is_told_once_and_leaves_nothing(
    workspace_factory: Make, children: Children, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    children.fail = {"seed 42": ModelProblem("the model cannot be loaded.")}
    before = eh.tree(root)
    assert train(root, "--seeds", "3") == 5
    assert "seed 42 is not finished: the model cannot be loaded." in capsys.readouterr().out
    assert children.trained == ["seed 42"]
    gone = [name for name in eh.tree(root) if name not in before and "groups" not in name]
    assert gone == []
    assert list_groups(eh.workspace_of(root)) == []


def test_a_group_goes_on_where_it_was_left(
    workspace_factory: Make, children: Children, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    children.die = {"seed 43"}
    children.fail = {"seed 44": TrainingProblem("the disk was busy.")}
    assert train(root, "--seeds", "3") == 6
    first = list_runs(eh.workspace_of(root))[0]
    journal = (first.folder / "events.jsonl").read_bytes()
    with pytest.raises(TrainingProblem, match="trained with 3 seeds, and 1 of them are not done"):
        eh.train(root)
    assert train(root, "--seeds", "7,8") == 6
    assert "being trained with the seeds 42, 43, 44" in capsys.readouterr().err
    children.fail.clear()
    children.trained.clear()
    assert train(root) == 0
    assert children.trained == ["seed 44"]
    assert (first.folder / "events.jsonl").read_bytes() == journal
    assert len(list_runs(eh.workspace_of(root))) == 3


def test_seeds_that_would_differ_in_more_than_the_seed_are_refused(
    workspace_factory: Make, children: Children, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    children.fail = {"seed 43": TrainingProblem("the disk was busy.")}
    assert train(root, "--seeds", "2") == 6
    children.fail.clear()
    capsys.readouterr()
    assert train(root, "--set", "training.learning_rate=1e-3") == 6
    assert "training.learning_rate was 0.002 and is 0.001" in capsys.readouterr().out


def test_wrong_words_are_refused_with_a_cure(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory()
    before = eh.tree(root)
    for words, told in (
        (("--seeds", "1"), "Write how many"),
        (("--seeds", "a,b"), "names no seeds"),
        (("--seeds", "3,3"), "each may be there once"),
        (("--seeds", "1,2", "--choose", "7"), "7 is none of the seeds 1, 2"),
        (("--seeds", "2", "--choose", "worst"), "Write best, median, ask or a seed"),
        (("--choose", "best"), "Add --seeds N"),
    ):
        assert train(root, *words) == 2, words
        assert told in capsys.readouterr().err
    assert train(root, "--member", "seeds-x:1") == 6
    assert "only by the process that trains all of them" in capsys.readouterr().err
    assert eh.tree(root) == before


def test_counts_and_lists_of_seeds_are_told_apart() -> None:
    assert parse_seeds("3", 42) == (42, 43, 44)
    assert parse_seeds("7,", 42) == (7,)
    assert parse_seeds(" 1, 2 ", 42) == (1, 2)
    for wrong in ("", ",", "0", "1", "101", "-2", "1.5", "²", "4294967296,1"):
        with pytest.raises(SettingsProblem):
            parse_seeds(wrong, 42)


@pytest.mark.parametrize(
    ("training", "shares"),
    [
        (Training(), ["a", "b", "c", "d", "e"]),
        (Training(num_processes=0), ["a", "b", "c", "d", "e"]),
        (Training(num_processes=2), ["a,b", "c,d"]),
        (Training(num_processes=2, shard=True), ["a,b", "c,d"]),
        (Training(num_processes=0, shard=True), ["a,b,c,d,e"]),
        # each is given all, and says that they are too few
        (Training(num_processes=8), ["a,b,c,d,e"]),
    ],
)
def test_a_seed_that_several_processes_train_gets_a_gpu_for_each(training: Training, shares: list[str]) -> None:
    assert shares_of("abcde", training) == shares
    assert shares_of("", training) == []


def test_the_spread_is_that_of_the_sample() -> None:
    found = spread_of([1.0, None, 2.0, 3.0])
    assert found is not None
    assert (found.n, found.mean, found.low, found.high, found.sd) == (3, 2.0, 1.0, 3.0, 1.0)
    assert spread_of([None]) is None
    alone = spread_of([2.5])
    assert alone is not None
    assert alone.words() == "2.5000 (2.5000 to 2.5000, n 1)"


@pytest.mark.usefixtures("children")
def test_the_median_of_two_is_the_better_one(workspace_factory: Make) -> None:
    root = workspace_factory()
    assert train(root, "--seeds", "2", "--choose", "median") == 0
    spread = seeds_of(root)
    better = min(spread.seeds, key=lambda item: item.loss or 0.0)
    assert better.chosen
    assert choose(spread, "best") == choose(spread, "median") == better
    assert choose(spread, "ask") is None


def test_a_child_is_a_process_of_its_own(tmp_path: Path) -> None:
    child = Child(Work("version", ("--version",), tmp_path / "run"), environment_of(""), tmp_path)
    until(child.ended, 60, "it ends")
    ended = child.result()
    assert (ended.code, ended.began) == (0, False)
    assert __version__ in ended.said


def test_the_real_thing_survives_kills_of_child_and_leader(workspace_factory: Make) -> None:
    """A child is killed in seed 42, the leader in seed 43; the weights are those of undisturbed single runs."""
    root, alone = workspace_factory(), workspace_factory(**{"training.seed": 43})
    process = eh.start_training(root, "--seeds", "2", before=fork_children)
    pid = _epoch_of(root, 42, process)
    os.kill(pid, signal.SIGKILL)
    child = _epoch_of(root, 43, process)
    assert process.kill_hard()
    until(lambda: gone(child), 60, "the child ends")
    first = (_run(root, 42) / "events.jsonl").read_bytes()
    again = eh.start_training(root, before=fork_children)
    assert again.code() == 0, again.text()
    assert (_run(root, 42) / "events.jsonl").read_bytes().startswith(first)
    assert sum(isinstance(event, ev.RunFinished) for event in read(_run(root, 42))) == 1
    assert [item.status for item in seeds_of(root).seeds] == ["finished", "finished"]
    assert len(list_runs(eh.workspace_of(root))) == 2
    eh.train(alone)
    finished = reduce(read(_run(root, 43))).finished
    assert finished is not None
    assert eh.sha256(eh.place_of(root, finished.last_checkpoint) / "model.safetensors") == eh.final_weights(alone)


def _run(root: Path, seed: int) -> Path:
    (group,) = list_groups(eh.workspace_of(root))
    return eh.workspace_of(root).run_folder(group.member(seed).run)


def _epoch_of(root: Path, seed: int, process: eh.Command) -> int:
    """Wait until the run of ``seed`` has trained an epoch; return the process that trains it."""

    def trained() -> bool:
        if not list_groups(eh.workspace_of(root)) or not (_run(root, seed) / "events.jsonl").exists():
            return False
        return 1 in reduce(read(_run(root, seed))).epochs

    assert eh.wait_until(trained, process), process.text()
    return [event.pid for event in read(_run(root, seed)) if isinstance(event, ev.RunStarted | ev.Resumed)][-1]


def test_a_finished_run_gets_other_seeds_beside_it(workspace_factory: Make, children: Children) -> None:
    root = workspace_factory(batches=(20,))
    with without_learning():
        (first,) = eh.train(root)
    assert main(["repeat", first, "-w", str(root), "--seeds", "2", "--choose", "42"]) == 0
    workspace = eh.workspace_of(root)
    assert children.trained == ["seed 43", "seed 44"]
    spread = seeds_of(root)
    assert [(item.seed, item.chosen) for item in spread.seeds] == [(42, True), (43, False), (44, False)]
    assert finished_steps(list_runs(workspace))[0].id == first
    assert main(["checkpoints", "take", spread.seeds[2].run, "-w", str(root)]) == 0
    assert [record.state.counts for record in list_runs(workspace)] == [False, False, True]
    # once more: the seeds of before take part again
    assert main(["repeat", first, "-w", str(root), "--seeds", "1,", "--choose", "median"]) == 0
    assert sorted(item.seed for item in seeds_of(root).seeds) == [1, 42, 43, 44]
    assert sum(record.state.counts for record in list_runs(workspace)) == 1


@pytest.mark.usefixtures("children")
def test_other_seeds_of_what_is_no_finished_run_are_refused(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    with without_learning():
        (first,) = eh.train(root)
    for words, code, told in (
        ((f"{first}x", "--seeds", "2"), 6, f"Did you mean {first}"),
        ((first, "--seeds", "42,"), 2, "the seeds 42 are trained already"),
        ((first, "--choose", "best"), 2, "Add --seeds N"),
    ):
        assert main(["repeat", *words, "-w", str(root)]) == code
        assert told in capsys.readouterr().err
    assert list_groups(eh.workspace_of(root)) == []
