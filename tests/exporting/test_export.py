"""Exports are what was trained: the same prompts and grades, the true base; whole or not at all, and no traces."""

import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import engine_helpers as helpers
import pytest
from exporting_helpers import COMMIT, HUB_NAME, Trained, read_json, run_script, trained
from msgspec.structs import replace

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Export
from opeddev_tui.data.rows import Message
from opeddev_tui.errors import ModelProblem, StorageProblem
from opeddev_tui.exporting.folder import Exported, Form, export, told
from opeddev_tui.exporting.verify import verify

Disk = namedtuple("Disk", "total used free")


def export_of(source: Trained, target: Path, **form: object) -> Exported:
    return export(source.workspace, source.entry, source.settings, target, Form(**form))  # type: ignore[arg-type]


# --- grades


@pytest.mark.parametrize("way", ["base head", "step head", "step tokens", "step text"])
@pytest.mark.usefixtures("in_process")
def test_a_full_checkpoint_grades_elsewhere_as_in_the_app(full: Trained, tmp_path: Path, way: str) -> None:
    exported = export_of(full, tmp_path / "out", dtype="fp32", way=way)
    found = verify(full.workspace, full.entry, full.settings, exported)
    assert (found.rows, found.different) == (10, ())
    if way == "step text":
        assert found.largest is None
        return
    assert found.largest == pytest.approx(0, abs=1e-5)
    # a prompt is cut otherwise beside a long reference, which tokens are read with
    assert found.recorded == 10 or way == "step tokens"


@pytest.mark.parametrize("adapter", [True, False])
@pytest.mark.parametrize("way", ["base head", "step head"])
@pytest.mark.usefixtures("in_process")
def test_adapters_grade_elsewhere_alone_and_merged(lora: Trained, tmp_path: Path, adapter: bool, way: str) -> None:
    exported = export_of(lora, tmp_path / "out", dtype="fp32", way=way, adapter=adapter)
    assert (exported.folder / "adapter_model.safetensors").exists() == adapter
    found = verify(lora.workspace, lora.entry, lora.settings, exported)
    assert (found.rows, found.different, found.recorded) == (10, (), 10)


@pytest.mark.usefixtures("in_process")
def test_verify_finds_a_head_that_is_not_the_checkpoints(full: Trained, tmp_path: Path) -> None:
    from opeddev_tui.commands.export_action import lines_of, must_be_equal

    exported = export_of(full, tmp_path / "out", dtype="fp32", way="step head")
    description = exported.folder / "step_grade_head.json"
    head = json.loads(description.read_text())
    head["ordinal"]["cuts"] = [cut - 50 for cut in head["ordinal"]["cuts"]]
    description.write_text(json.dumps(head))
    found = verify(full.workspace, full.entry, full.settings, exported)
    assert len(found.different) > 5
    assert must_be_equal(exported)
    assert any(line.startswith("Graded otherwise: holdout-") for line in lines_of(found, exported))


def test_the_command_verifies_in_a_fresh_process_of_plain_transformers(
    full: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["checkpoints", "export", "latest", str(tmp_path / "out"), "-w", str(full.root), "--way", "step-head"]
    assert main([*words, "--verify"]) == 0
    told_there = " ".join(capsys.readouterr().out.split())
    assert "(bf16)" in told_there
    assert "of 10 grades equal. Largest difference of a probability: " in told_there
    script = (tmp_path / "out/grade.py").read_text()
    assert "opeddev" not in script.lower()
    assert len(script.splitlines()) < 220


@pytest.mark.usefixtures("in_process")
def test_files_are_graded_with_a_task_and_a_rubric_of_the_command_line(full: Trained, tmp_path: Path) -> None:
    exported = export_of(full, tmp_path / "out", dtype="fp32", way="step head")
    page, empty = tmp_path / "page.html", tmp_path / "empty.html"
    page.write_text("<b>card menu good clean</b>")
    empty.write_text(" \n")
    words = [str(page), str(empty), "--task", "Make a menu.", "--rubric", "It works.", "--kind", "html"]
    first, second = map(json.loads, run_script(exported.folder / "grade.py", words))
    row = {"id": 7, "task": "Make a menu.", "rubric": "It works.", "kind": "html", "submission": page.read_text()}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n\n")
    (third,) = map(json.loads, run_script(exported.folder / "grade.py", [str(tmp_path / "rows.jsonl")]))
    assert first.pop("assumed").keys() == {"kind", "task", "rubric"}
    assert third.pop("assumed") == {}
    assert first == {"file": str(page), **{key: value for key, value in third.items() if key != "id"}}
    assert third["id"] == 7
    assert first["grade"] in first["set"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert 1 <= first["expected"] <= 5
    assert second == {"file": str(empty), "grade": None}


# --- prompts and generation


def test_plain_libraries_ask_and_stop_as_training_did(full: Trained, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from opeddev_tui.models.token_check import fit

    exported = export_of(full, tmp_path / "out")
    encoder = fit(str(full.entry.folder), full.settings).encoder
    tokenizer = AutoTokenizer.from_pretrained(exported.folder)
    plain = [{"role": "system", "content": "You grade."}, {"role": "user", "content": "<b>a</b>\n"}]
    found = tokenizer.apply_chat_template(plain, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert found == encoder.encode_prompt([Message(**message) for message in plain])
    config = read_json(exported.folder / "generation_config.json")
    assert (config["do_sample"], config["eos_token_id"], config["max_new_tokens"]) == (False, encoder.end_ids, 2)
    assert not {"temperature", "top_p", "top_k"} & {key for key, value in config.items() if value is not None}
    assert str(AutoModelForCausalLM.from_pretrained(exported.folder).dtype) == "torch.bfloat16"


def test_the_settings_of_the_training_count_and_not_those_of_today(full: Trained, tmp_path: Path) -> None:
    changed = replace(full.settings, grading=replace(full.settings.grading, prompt_template="{submission}"))
    folder = export(full.workspace, full.entry, changed, tmp_path / "out").folder
    assert read_json(folder / "grader.json")["prompt_template"] == full.settings.grading.prompt_template


# --- the model below adapters


def test_an_adapter_names_its_base_by_hub_name_and_commit(lora: Trained, tmp_path: Path) -> None:
    exported = export_of(lora, tmp_path / "out")
    config = read_json(exported.folder / "adapter_config.json")
    assert (config["base_model_name_or_path"], config["revision"]) == (HUB_NAME, COMMIT)
    needs = read_json(exported.folder / "grader.json")["needs"]
    assert needs == {"pretrained_model_name_or_path": HUB_NAME, "revision": COMMIT}
    card = (exported.folder / "README.md").read_text()
    assert f"base_model: {HUB_NAME}\nlibrary_name: peft" in card
    assert f"vllm serve {HUB_NAME} --revision {COMMIT} --enable-lora" in card
    assert not (exported.folder / "Modelfile").exists()


def test_adapters_on_a_base_without_a_hub_name_are_merged_and_that_is_said(lora: Trained, tmp_path: Path) -> None:
    from opeddev_tui.exporting import folder as folders

    with pytest.MonkeyPatch.context() as patch:
        plain = folders.KnownBase("tiny", lora.entry.base)
        patch.setattr(folders, "adapter_base", lambda *_: plain)
        merged = export_of(lora, tmp_path / "merged")
        alone = export_of(lora, tmp_path / "alone", adapter=True)
    assert "is not on the hub: they are merged into a copy of it" in " ".join(told(lora.entry, merged))
    assert (merged.folder / "model.safetensors").exists()
    assert "whoever gets it needs that model from you" in " ".join(told(lora.entry, alone))
    assert read_json(alone.folder / "adapter_config.json")["base_model_name_or_path"] == "tiny"


def test_a_base_head_after_all_parameters_were_trained_names_the_base_and_what_it_costs(
    full: Trained, tmp_path: Path
) -> None:
    exported = export_of(full, tmp_path / "out", way="base head")
    sentences = " ".join(told(full.entry, exported))
    assert "which needs another model too: tiny, in memory and on disk; give its folder with --base" in sentences
    card = (exported.folder / "README.md").read_text()
    assert re.search(r"That needs another model too, `tiny`: \d+\.\d KiB in float32", card)
    # a prompt is cut where grade.py cuts it
    room = read_json(exported.folder / "grader.json")["max_prompt_tokens"]
    assert f"A prompt keeps {room} tokens at most" in card


def test_the_commands_after_an_export_are_complete_and_run(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["checkpoints", "export", full.entry.name, "out put", "-w", str(full.root), "--way", "base-head"]
    assert main([*words, "--dtype", "fp32"]) == 0
    grade, again = (shlex.split(line.partition(": ")[2]) for line in capsys.readouterr().out.splitlines()[-2:])
    Path("page.html").write_text("<b>card menu good clean</b>")
    assert grade[:3] == [sys.executable, "out put/grade.py", "FILE"]
    assert len(run_script(Path(grade[1]), ["page.html", *grade[3:]])) == 1
    assert again[:3] == ["opeddev-tui", "checkpoints", "export"]
    assert main(again[1:]) == 0
    assert len(run_script(tmp_path / "out put-step-head/grade.py", ["page.html"])) == 1


def test_a_script_without_its_base_model_says_which_one_that_is(
    full: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = export_of(full, tmp_path / "out", way="base head")
    assert exported.base is not None
    with pytest.raises(SystemExit):
        run_script(exported.folder / "grade.py", ["page.html", "--way", "step-head"])
    with pytest.raises(SystemExit):
        run_script(exported.folder / "grade.py", [str(exported.folder / "grader.json")])
    said = " ".join(capsys.readouterr().err.split())
    digest = hashlib.sha256((Path(exported.base.source) / "model.safetensors").read_bytes()).hexdigest()
    assert "unrecognized arguments: --way step-head" in said
    assert "--base FOLDER is missing: the folder of tiny, the model that the first step began with (model.saf" in said
    assert digest in said
    assert str(Path(exported.base.source).parent) not in (exported.folder / "grade.py").read_text()


# --- whole or not at all


def test_what_is_in_the_way_is_never_touched(full: Trained, tmp_path: Path) -> None:
    taken, file, link = tmp_path / "taken", tmp_path / "file", tmp_path / "link"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    file.write_text("mine")
    link.symlink_to(taken)
    for target, words in ((taken, "is not empty"), (file, "is no folder"), (link, "is no folder")):
        with pytest.raises(StorageProblem, match=words):
            export_of(full, target)
    assert (taken / "mine.txt").read_text() == file.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "taken"]


def test_a_full_disk_is_told_before_anything_is_written(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10, 10, 1000))
    with pytest.raises(StorageProblem, match=r"the export needs .* are free"):
        export_of(full, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_nothing(full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opeddev_tui.exporting import folder as folders

    def fails(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(folders, "model_card", fails)
    with pytest.raises(KeyboardInterrupt):
        export_of(full, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert list((tmp_path / "out").iterdir()) == []


def test_numbers_that_a_dtype_cannot_hold_are_refused(
    full: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from opeddev_tui.models import loading

    real = loading.load_model

    def huge(*arguments: object) -> object:
        model = real(*arguments)  # type: ignore[arg-type]
        with torch.no_grad():
            next(iter(model.parameters()))[0, 0] = 1e6
        return model

    monkeypatch.setattr(loading, "load_model", huge)
    with pytest.raises(ModelProblem, match="holds numbers that float16 cannot hold"):
        export_of(full, tmp_path / "out", dtype="fp16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--adapter", "--merge"], "--adapter and --merge exclude each other"),
        (["--way", "base-head"], "cannot grade by base head"),
    ],
)
def test_what_does_not_go_together_is_told_in_a_sentence(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    root = helpers.copy_workspace(trained_workspace, tmp_path / "copy")
    code = main(["checkpoints", "export", "latest", str(tmp_path / "out"), "-w", str(root), *words])
    assert code in (2, 5)
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_rows_without_grades_comes_without_a_grader(trained_workspace: Path, tmp_path: Path) -> None:
    source = trained(helpers.copy_workspace(trained_workspace, tmp_path / "copy"))
    exported = export_of(source, tmp_path / "out")
    assert exported.way is None
    assert not (exported.folder / "grade.py").exists()
    assert "comes without a grader" in (exported.folder / "README.md").read_text()


# --- what an export tells


def traces(source: Trained) -> set[bytes]:
    """Return what no exported file may hold: places and users of this machine, texts of the rows."""
    rows = [
        json.loads(line)
        for path in (helpers.base_file(source.root), helpers.holdout_file(source.root))
        for line in path.read_text().splitlines()
    ]
    texts = {str(row[name]) for row in rows for name in ("submission", "task", "feedback")}
    places = {str(source.root), str(source.root.parent), str(Path.home()), tempfile.gettempdir(), os.uname().nodename}
    return {text.encode() for text in {*texts, *places} if len(text) > 5}


@pytest.mark.parametrize("kind", ["full", "lora", "merged"])
def test_no_file_holds_a_place_a_user_or_a_row(full: Trained, lora: Trained, tmp_path: Path, kind: str) -> None:
    source = full if kind == "full" else lora
    settings = replace(source.settings, export=Export(license="apache-2.0"))
    adapter = {"full": None, "lora": True, "merged": False}[kind]
    folder = export(source.workspace, source.entry, settings, tmp_path / "out", Form(adapter)).folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 10
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o644, path
        content = path.read_bytes()
        for trace in traces(source):
            assert trace not in content, (path.name, trace)
