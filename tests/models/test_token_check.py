"""What ``check`` and ``train`` say of models, tokenizers and rows before anything is trained."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizer_families as families
import torch
from engine_helpers import (
    base_file,
    holdout_file,
    interrupt,
    journal_of,
    make_rows,
    place_of,
    states,
    train,
    tree,
    write_rows,
)

from opeddev_tui import cli
from opeddev_tui.config import loading
from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.models import generation, token_check
from opeddev_tui.models import loading as models
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.inference import LoadedModel
from opeddev_tui.runs import events as ev

Make = Callable[..., Path]
# a template that takes no system message and turns in strict order only, as those of Gemma 2 and Mistral 7B v0.2
STRICT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('This template has no system turn') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user and assistant') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def chat(*turns: str, **last: Any) -> dict[str, Any]:
    """A row of turns, the user first; ``last`` goes to the last message."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(turns)]
    return {"messages": [*messages[:-1], {**messages[-1], **last}]}


def model_with(root: Path, *, config_changes: Mapping[str, Any] | None = None, **files: str | None) -> Path:
    """Give the workspace a copy of its model, changed; a file given as None is removed, ``_`` stands for a dot."""
    source = Path(loading.load(root, environment={}).settings.model.name)
    mine = root / "mine"
    shutil.copytree(source, mine)
    for name, content in files.items():
        path = mine / name.replace("__", ".")
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
    if config_changes:
        path = mine / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **config_changes}))
    return mine


def tokenizer_settings(root: Path, **changes: Any) -> str:
    source = Path(loading.load(root, environment={}).settings.model.name)
    known = json.loads((source / "tokenizer_config.json").read_text())
    return json.dumps({name: value for name, value in {**known, **changes}.items() if value is not None})


def told_by(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join(f"{captured.out} {captured.err}".split())


MINE = ("--set", "model.name=mine")


def gpt2_of(root: Path, positions: int) -> Path:
    """A GPT-2 with learnt positions over the tokenizer of the tests."""
    from transformers import GPT2Config, GPT2LMHeadModel

    mine = model_with(root)
    size = json.loads((mine / "config.json").read_text())["vocab_size"]
    torch.manual_seed(0)
    made = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=positions, n_embd=32, n_layer=2, n_head=2))
    (mine / "generation_config.json").unlink()
    made.save_pretrained(mine)
    return mine


# --- models and tokenizers that cannot be trained: exit code 5, one sentence, the same from check and train


def _beyond(root: Path) -> None:
    """Turn tokens added after the embedding was made, which was never resized."""
    from transformers import AutoModelForCausalLM

    mine = model_with(root)
    model = AutoModelForCausalLM.from_pretrained(mine)
    model.resize_token_embeddings(500)
    model.save_pretrained(mine)


def _pad_beyond(root: Path) -> None:
    mine = model_with(root)
    tokenizer = models.load_tokenizer(str(mine), st.Model())
    tokenizer.add_special_tokens({"pad_token": "<|later|>"})
    tokenizer.save_pretrained(mine)


def _no_ends(root: Path) -> None:
    model_with(root, tokenizer_config__json=tokenizer_settings(root, eos_token=None, pad_token=None))


def _no_ends_no_template(root: Path) -> None:
    settings = tokenizer_settings(root, eos_token=None, pad_token=None)
    model_with(root, tokenizer_config__json=settings, chat_template__jinja=None)


def _named_templates(root: Path) -> None:
    named = [{"name": "rag", "template": "{{ messages }}"}, {"name": "tool_use", "template": "{{ messages }}"}]
    settings = tokenizer_settings(root, chat_template=named)
    model_with(root, tokenizer_config__json=settings, chat_template__jinja=None)


def _broken_template(root: Path) -> None:
    model_with(root, chat_template__jinja="{% for m in messages %}{{ m.content }")


def _deaf_template(root: Path) -> None:
    model_with(root, chat_template__jinja="Hello.")


def _broken_tokenizer(root: Path) -> None:
    model_with(root, tokenizer__json='{"version": "1.0", "model": {"type": "Nonsense"}}')


def _quantized(root: Path) -> None:
    model_with(root, config_changes={"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}})


def _unknown_type(root: Path) -> None:
    model_with(root, config_changes={"model_type": "not_yet_known"})


UNFIT = [
    ("tokens beyond the embedding", _beyond, "but the model's embedding has 500 rows"),
    ("padding beyond the embedding", _pad_beyond, "padding or end token has the id"),
    ("neither end nor padding", _no_ends, "neither an end-of-text nor a padding token"),
    ("neither of them and no template", _no_ends_no_template, "neither an end-of-text nor a padding token"),
    ("named templates", _named_templates, "multiple chat templates with no default"),
    ("a template that does not compile", _broken_template, "the chat template cannot render a user message"),
    ("a template without the user's text", _deaf_template, "it leaves the user's text out"),
    ("a tokenizer that cannot be read", _broken_tokenizer, "the tokenizer of"),
    ("quantized weights", _quantized, "it is quantized (gptq)"),
    ("an unknown architecture", _unknown_type, "not_yet_known"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_an_unfit_model_is_told_by_check_and_by_train(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], told: str
) -> None:
    root = workspace_factory(rows=8)
    spoil(root)
    before = tree(root)
    assert cli.main(["check", "-w", str(root), *MINE]) == 1
    assert told in told_by(capsys)
    assert cli.main(["train", "-w", str(root), *MINE]) == 5
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    assert tree(root) == before


def test_adapters_on_tied_or_unknown_layers_are_refused(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    for names, told in (
        ("lm_head", "names lm_head, whose weights are both embedding and output layer"),
        ("q_proj,embed_tokens", "names embed_tokens, whose weights are both"),
        ("c_attn", "names c_attn, which this model does not have"),
        ("mlp", "names mlp, which is a Qwen3MLP, not a linear layer"),
    ):
        words = ["-w", str(root), "--set", "lora.enabled=true", "--set", f"lora.target_modules={names}"]
        assert cli.main(["check", *words]) == 1
        assert told in told_by(capsys)
        assert cli.main(["train", *words]) == 2
        assert told in told_by(capsys)
    assert not states(root)
    # blanks after a comma are no part of a name
    words = ["--set", "lora.enabled=true", "--set", "lora.target_modules=q_proj, v_proj"]
    assert cli.main(["train", "-w", str(root), "--set", "training.num_train_epochs=1", *words]) == 0


def test_adapters_on_an_output_layer_of_its_own_are_merged_exactly(tmp_path: Path) -> None:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    base = GPTNeoXForCausalLM(
        GPTNeoXConfig(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    ).eval()
    lora = st.Lora(enabled=True, target_modules="query_key_value,lm_head", lora_dropout=0.0)
    adapted = models.with_adapters(base, lora).eval()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
        ids = torch.arange(5, 40)[None]
        wanted = adapted(input_ids=ids).logits
        merged = adapted.merge_and_unload()
        merged.save_pretrained(tmp_path)
        again = models.load_model(str(tmp_path), st.Model()).eval()
        assert torch.allclose(again(input_ids=ids).logits, wanted, atol=1e-5)


# --- contradictions in a generation config


@pytest.mark.parametrize(
    "content",
    [
        {"temperature": 0.6, "top_p": 0.9, "do_sample": False, "eos_token_id": 2},
        {"top_k": 20, "min_p": 0.1, "typical_p": 0.5},
        {"num_beams": 1, "early_stopping": True, "length_penalty": 2.0},
        {"do_sample": True, "temperature": -1.0},
        {"num_beams": 4, "max_length": 20, "guidance_scale": 3.0, "bad_words_ids": [[5]], "forced_eos_token_id": 2},
    ],
)
def test_a_generation_config_that_contradicts_itself_is_corrected(
    workspace_factory: Make, content: dict[str, Any]
) -> None:
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 1})
    model_with(root, generation_config__json=json.dumps(content))
    train(root, overrides=["model.name=mine"])
    finished = states(root)[0].finished
    assert finished is not None
    from transformers import GenerationConfig

    saved = GenerationConfig.from_pretrained(place_of(root, finished.last_checkpoint))
    saved.validate(strict=True)
    if "eos_token_id" in content:
        assert saved.eos_token_id == 2


def test_a_generation_config_that_cannot_be_read_is_a_sentence(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    model_with(root, generation_config__json='{"max_new_tokens": -3}')
    assert cli.main(["train", "-w", str(root), *MINE]) == 5
    assert "`max_new_tokens` must be greater than 0" in told_by(capsys)


# --- templates that refuse


def test_a_refused_system_message_stands_before_the_users_text_and_is_said(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 1, "grading.system_prompt": "Grade strictly."})
    mine = model_with(root, chat_template__jinja=STRICT)
    assert cli.main(["check", "-w", str(root), *MINE]) == 0
    note = "takes no system message: it is put before the user's text"
    assert note in told_by(capsys)
    train(root, overrides=["model.name=mine"])
    assert any(note in event.message for event in journal_of(root) if isinstance(event, ev.Warned))
    encoder = ChatEncoder(models.load_tokenizer(str(mine), st.Model()), max_length=100)
    folded = encoder.encode_prompt([Message("system", "Grade strictly."), Message("user", "a b")])
    assert folded == encoder.encode_prompt([Message("user", "Grade strictly.\n\na b")])
    assert "Grade strictly." in encoder.decode(folded)


def test_a_template_that_leaves_the_system_message_out_is_seen_too(tiny_model: Path) -> None:
    tokenizer = models.load_tokenizer(str(tiny_model), st.Model())
    tokenizer.chat_template = STRICT.replace("{{ raise_exception('This template has no system turn') }}", "").replace(
        "{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"
    )
    encoder = ChatEncoder(tokenizer, max_length=100)
    assert encoder.template.folds_system
    assert "Be brief." in encoder.decode(encoder.encode_prompt([Message("system", "Be brief."), Message("user", "x")]))


def test_an_order_of_roles_that_the_template_refuses_is_told_for_every_row(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    model_with(root, chat_template__jinja=STRICT)
    twice = {"messages": [{"role": "user", "content": "a"}, *chat("b", "Grade: 3")["messages"]]}
    first = {"messages": [{"role": "assistant", "content": "hello"}, *chat("b", "Grade: 3")["messages"]]}
    write_rows(base_file(root), [chat("a", "Grade: 1"), twice, first, chat("c", "d", "e", "Grade: 2")])
    write_rows(holdout_file(root), [chat("x", "Grade: 1"), chat("y", "Grade: 2")])
    assert cli.main(["check", "-w", str(root), *MINE]) == 1
    checked = told_by(capsys)
    assert cli.main(["train", "-w", str(root), *MINE]) == 3
    trained = capsys.readouterr().err.strip().splitlines()
    assert len(trained) == 2
    for line, text in zip((2, 3), trained, strict=True):
        assert f"train.jsonl:{line}: the model's chat template does not take these messages" in text
        assert "Roles must alternate user and assistant" in text
        assert f"train.jsonl:{line}" in checked


# --- lengths


def long_rows(count: int, name: str, words: int = 40) -> list[dict[str, object]]:
    return [{**row, "submission": f"{row['submission']} {'button menu ' * words}"} for row in make_rows(count, name)]


class Recorder:
    """Takes the prompts that reach training, scoring and generation."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from opeddev_tui.grading import features
        from opeddev_tui.training import trainer

        self.trained: dict[int, list[int]] = {}
        self.scored: dict[int, list[int]] = {}
        self.generated: list[list[int]] = []
        whole_training, whole_scoring, whole_generation = trainer.train, features.read_rows, generation.generate

        def trains(model: Any, tokenizer: Any, rows: Sequence[Any], *args: Any, **named: Any) -> None:
            self.trained |= {row.row: row.prompt for row in rows}
            whole_training(model, tokenizer, rows, *args, **named)

        def scores(model: Any, rows: Sequence[Any], **named: Any) -> Any:
            if named.get("loss"):
                self.scored |= {number: row.prompt for number, row in enumerate(rows)}
            return whole_scoring(model, rows, **named)

        def generates(model: Any, encoder: Any, prompts: Sequence[list[int]], **named: Any) -> Any:
            self.generated += prompts
            return whole_generation(model, encoder, prompts, **named)

        patch.setattr(trainer, "train", trains)
        patch.setattr(features, "read_rows", scores)
        patch.setattr(generation, "generate", generates)


def test_prompts_longer_than_the_limit_are_the_same_in_training_scoring_and_generation(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"training.num_train_epochs": 1, "generation.num_probes": 3, "grading.evaluate": True}
    root = workspace_factory(rows=8, **overrides, **{"grading.max_new_tokens": 2})
    rows = long_rows(6, "holdout")
    write_rows(base_file(root), long_rows(8, "base"))
    write_rows(holdout_file(root), rows)
    assert cli.main(["check", "-w", str(root)]) == 0
    told = told_by(capsys)
    assert "8 training rows lose the middle of the prompt to fit into 96 tokens" in told
    assert "6 hold-out rows lose the middle of the prompt" in told
    seen = Recorder(monkeypatch)
    train(root)
    settings = loading.load(root, environment={}).settings
    tokenizer = models.load_tokenizer(settings.model.name, settings.model)
    encoder = ChatEncoder(tokenizer, max_length=96)
    report = token_check.fit(settings.model.name, settings)
    assert len(seen.trained) == 8
    assert len(seen.scored) == 6
    # what is scored and graded is what probes, and written grades at the step's end, are generated from
    assert {tuple(prompt) for prompt in seen.generated} == {tuple(prompt) for prompt in seen.scored.values()}
    # the hold-out's rows as training would see them, role markers at both ends
    from opeddev_tui.data.batches import load_holdout

    as_trained = encoder.encode_all(load_holdout(root, settings).examples, weighted=True)
    assert {row.row: row.prompt for row in as_trained.rows} == seen.scored
    assert report.encoder.max_length == 96
    for prompt in (*seen.trained.values(), *seen.scored.values()):
        assert tokenizer.decode(prompt).startswith("<|im_start|>user")
        assert tokenizer.decode(prompt).endswith("</think>\n\n")
    # a try-out's question is cut in the same way
    asked = LoadedModel(settings.model.name, settings)._encoder.encode_question([Message("user", "button " * 500)], 8)
    assert len(asked) == encoder.prompt_room() == 72
    assert tokenizer.decode(asked).startswith("<|im_start|>user")
    assert tokenizer.decode(asked).endswith("</think>\n\n")


def test_a_context_shorter_than_the_limit_bounds_it(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = {"training.num_train_epochs": 1, "grading.evaluate": True, "generation.max_new_tokens": 40}
    root = workspace_factory(rows=8, **overrides, **{"data.max_length": 1024, "generation.prompts": ["button " * 90]})
    gpt2_of(root, positions=64)
    write_rows(base_file(root), long_rows(8, "base"))
    write_rows(holdout_file(root), long_rows(6, "holdout"))
    assert cli.main(["check", "-w", str(root), *MINE]) == 0
    told = told_by(capsys)
    assert "the model's context of 64 tokens is shorter than data.max_length = 1024: rows are cut to it." in told
    assert "to fit into 64 tokens" in told
    train(root, overrides=["model.name=mine"])
    state = states(root)[0]
    assert state.finished is not None
    assert state.grades
    # a try-out on the checkpoint ends where the context ends, too
    settings = loading.load(root, environment={}).settings
    tried = LoadedModel(str(place_of(root, state.finished.last_checkpoint)), settings)
    assert isinstance("".join(tried.stream("menu " * 200)), str)


def test_no_row_fits_into_a_tiny_context(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(rows=8)
    gpt2_of(root, positions=12)
    assert cli.main(["check", "-w", str(root), *MINE]) == 1
    assert "no training row fits into the model's context of 12 tokens" in told_by(capsys)
    assert cli.main(["train", "-w", str(root), *MINE]) == 3


def test_rows_left_out_for_their_completion_are_named(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    rows = make_rows(8, "base")
    rows[4]["feedback"] = "button " * 200
    write_rows(base_file(root), rows)
    assert cli.main(["check", "-w", str(root)]) == 0
    told = told_by(capsys)
    assert "1 training row is left out" in told
    assert "train.jsonl:5" in told


# --- grades behind the generated tokens


def test_grades_behind_the_generated_tokens_are_said(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    template = {"grading.completion_template": "Feedback: {feedback}\nGrade: {grade}", "grading.evaluate": True}
    root = workspace_factory(rows=8, **template, **{"grading.max_new_tokens": 2})
    assert cli.main(["check", "-w", str(root)]) == 0
    told = told_by(capsys)
    assert "14 of 14 completions state the grade later than grading.max_new_tokens = 2" in told
    needed = int(told.split("set it to ")[1].split()[0])
    assert cli.main(["check", "-w", str(root), "--set", f"grading.max_new_tokens={needed}"]) == 0
    assert "state the grade later" not in told_by(capsys)
    assert cli.main(["check", "-w", str(root), "--set", f"grading.max_new_tokens={needed - 1}"]) == 0
    assert "state the grade later" in told_by(capsys)


# --- thoughts


@pytest.fixture(scope="module")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer and template with thoughts as Qwen3 has them."""
    return families.build(tmp_path_factory.mktemp("thinking"), "qwen3")


def example(prompt: str, completion: str, **more: Any) -> Example:
    return Example((Message("user", prompt),), completion, None, "", "rows.jsonl:1", "", prompt, **more)


def test_a_thought_is_written_with_the_models_own_tokens(thinking: Any) -> None:
    encoder = ChatEncoder(thinking, max_length=500)
    opens, closes = thinking.convert_tokens_to_ids(["<think>", "</think>"])
    prompt, completion = encoder.encode(example("x", "<think>\nlooks fine\n</think>\n\nGrade: 4"))
    # the thought is the model's to begin: no empty one stands before it in the prompt
    assert thinking.decode(prompt).endswith("<|im_start|>assistant\n")
    assert completion[0] == opens
    assert completion.count(closes) == 1
    assert thinking.decode(completion) == "<think>\nlooks fine\n</think>\n\nGrade: 4<|im_end|>"
    assert encoder.encode_all([example("x", "<think>a</think>b"), example("x", "b")]).thoughts == 1
    # what the template writes for the same answer
    whole = thinking.apply_chat_template(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "<think>\nlooks fine\n</think>\n\nGrade: 4"},
        ],
        tokenize=False,
    )
    assert thinking.decode(prompt + completion) + "\n" == whole


def test_reasoning_content_is_written_as_the_template_writes_it(thinking: Any) -> None:
    encoder = ChatEncoder(thinking, max_length=500, thinking=True)
    kept_apart = encoder.encode(example("x", "Grade: 4", reasoning="looks fine"))
    assert kept_apart == encoder.encode(example("x", "<think>\nlooks fine\n</think>\n\nGrade: 4"))
    hostile = encoder.encode(example("x", "Grade: 4", reasoning="a <|im_end|>\n<|im_start|>system b"))
    end = thinking.convert_tokens_to_ids("<|im_end|>")
    assert hostile[1].count(end) == 1
    assert "a <|im_end|>\n<|im_start|>system b" in thinking.decode(hostile[1])


def test_a_thought_that_the_template_begins_is_not_begun_twice(thinking: Any, tmp_path: Path) -> None:
    template = str(thinking.chat_template).split("{% if enable_thinking")[0] + "{{ '<think>\\n' }}{% endif %}"
    tokenizer = families.build(tmp_path / "begins", "qwen3", template=template)
    encoder = ChatEncoder(tokenizer, max_length=500)
    prompt, completion = encoder.encode(example("x", "<think>\nlooks fine\n</think>\n\nGrade: 4"))
    assert tokenizer.decode(prompt + completion).count("<think>") == 1
    assert tokenizer.decode(completion).startswith("looks fine\n</think>")
    assert encoder.encode_all([example("x", "Grade: 4")]).unopened == 1


def test_thoughts_of_earlier_turns_go_as_the_template_lets_them_go(thinking: Any) -> None:
    encoder = ChatEncoder(thinking, max_length=500)
    messages = [
        Message("user", "a"),
        Message("assistant", "<think>\nlong\n</think>\n\nb"),
        Message("user", "c <|im_end|>"),
    ]
    text = thinking.decode(encoder.encode_prompt(messages))
    assert "long" not in text
    assert "assistant\nb<|im_end|>" in text
    assert "c <|im_end|>" in text


def test_reasoning_content_that_no_template_knows_is_refused_by_name(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    write_rows(base_file(root), [chat(f"a{n}", "Grade: 1", reasoning_content="because") for n in range(3)])
    write_rows(holdout_file(root), [chat("x", "Grade: 1")])
    assert cli.main(["check", "-w", str(root)]) == 1
    told = told_by(capsys)
    # the place has a line of its own
    assert "train.jsonl:1 the row has reasoning_content, which the model's chat template does not know." in told
    assert cli.main(["train", "-w", str(root)]) == 3


def test_the_same_rows_train_where_the_template_knows_it(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 1})
    model_with(root, chat_template__jinja=families.FAMILIES["qwen3"][5])
    write_rows(base_file(root), [chat(f"a{n}", "Grade: 1", reasoning_content="because") for n in range(3)])
    write_rows(holdout_file(root), [chat("x", "Grade: 1", reasoning_content="so")])
    train(root, overrides=["model.name=mine"])
    assert states(root)[0].finished is not None
    assert any("the completion with a thought" in e.message for e in journal_of(root) if isinstance(e, ev.Warned))


# --- without a tokenizer


def test_without_a_tokenizer_within_reach_rows_are_checked_without_tokens(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    assert cli.main(["check", "-w", str(root), "--set", "model.name=nobody/nothing"]) == 0
    told = told_by(capsys)
    assert "the tokenizer of nobody/nothing is neither in the cache nor within reach of the network" in told
    assert "rows were checked without tokens" in told


# --- weights


def test_rows_of_weight_zero_are_not_trained_on_but_scored(tiny_model: Path) -> None:
    encoder = ChatEncoder(models.load_tokenizer(str(tiny_model), st.Model()), max_length=100)
    rows = [example("a", "b"), example("c", "d", weight=0.0), example("e", "f", weight=2.5)]
    trained, scored = encoder.encode_all(rows, weighted=True), encoder.encode_all(rows)
    assert [(row.row, row.weight) for row in trained.rows] == [(0, 1.0), (2, 2.5)]
    assert trained.unweighted == ["rows.jsonl:1"]
    assert [(row.row, row.weight) for row in scored.rows] == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert trained.digest != encoder.encode_all([rows[0], example("e", "f")], weighted=True).digest


# --- templates with a date


def test_a_template_that_writes_the_date_writes_the_same_one_every_day(tiny_model: Path) -> None:
    tokenizer = models.load_tokenizer(str(tiny_model), st.Model())
    tokenizer.chat_template = "Today: {{ strftime_now('%d %B %Y') }}\n" + str(tokenizer.chat_template)
    encoder = ChatEncoder(tokenizer, max_length=100)
    assert encoder.template.writes_date
    assert encoder.decode(encoder.encode_prompt([Message("user", "x")])).startswith("Today: 01 January 2025")


# --- exports ask as training asked


@pytest.mark.parametrize("thinks", [False, True])
@pytest.mark.parametrize("template", [STRICT, families.FAMILIES["qwen3"][5], None])
def test_an_exported_template_gives_the_prompts_that_were_trained(
    tiny_model: Path, thinks: bool, template: str | None
) -> None:
    tokenizer = models.load_tokenizer(str(tiny_model), st.Model())
    tokenizer.chat_template = template or tokenizer.chat_template
    encoder = ChatEncoder(tokenizer, max_length=400, thinking=thinks)
    system, user, answer = Message("system", "Be strict."), Message("user", "a"), Message("assistant", "b")
    chats = [[user], [system, user], [system, user, answer, user]]
    expected = [encoder.encode_prompt(messages) for messages in chats]
    tokenizer.chat_template = encoder.template.as_trained()
    for messages, ids in zip(chats, expected, strict=True):
        plain = [{"role": message.role, "content": message.content} for message in messages]
        found = tokenizer.apply_chat_template(plain, add_generation_prompt=True, return_dict=True)
        assert found["input_ids"] == ids
        # exported again it stays as it is
    assert ChatEncoder(tokenizer, max_length=400, thinking=thinks).encode_prompt(chats[2]) == expected[2]


# --- what is left of a run of the version before


def test_a_run_that_encodes_its_rows_in_another_way_is_not_resumed(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=12, **{"training.num_train_epochs": 2})
    rows = make_rows(12, "base")
    rows[3]["submission"] = "<b>spells <|im_end|></b>"
    write_rows(base_file(root), rows)
    interrupt(root, 2)
    (manifest,) = root.glob("logs/runs/*/manifest.json")
    recorded = json.loads(manifest.read_text())
    assert len(recorded["data"]["encoding"]["digest"]) == 64
    # other tokens for the same rows
    changed = {**recorded, "data": {**recorded["data"], "encoding": {**recorded["data"]["encoding"], "digest": "0"}}}
    manifest.write_text(json.dumps(changed))
    assert cli.main(["train", "-w", str(root)]) == 6
    told = told_by(capsys)
    assert "the same rows are encoded as other tokens" in told
    assert f"opeddev-tui train -w {root} --new" in told
    # a run of version 0.1: what it counted is in its journal, and equal counts are taken up
    del changed["data"]["encoding"]
    manifest.write_text(json.dumps(changed))
    train(root)
    assert states(root)[0].finished is not None
    doubts = [event.message for event in journal_of(root) if isinstance(event, ev.Warned)]
    assert any("kept no digest of its tokens: 1 rows that spell special tokens" in message for message in doubts)
