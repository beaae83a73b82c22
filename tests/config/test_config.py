"""Settings: layers, origins, and every mistake told with file, key, value and cure."""

import tomllib
from pathlib import Path

import pytest

from opeddev_tui.config import described, loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problems

ROOT = Path(__file__).parents[2]


def test_the_shipped_file_is_the_defaults() -> None:
    text = (ROOT / "config.toml").read_text()
    assert text == loading.render_default()
    assert loading.resolve([loading.Layer("shipped", tomllib.loads(text))]).settings == Settings()


def test_a_commented_workspace_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(loading.render_default(commented_out=True))
    loaded = loading.load(tmp_path, environment={})
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_later_layers_win_and_say_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        "[training]\nseed = 1\nlearning_rate = 1e-3\nweight_decay = 0.1\nlogging_steps = 2"
    )
    loading.save(tmp_path, {"training.learning_rate": 2e-3, "training.weight_decay": 0.2, "training.logging_steps": 3})
    loaded = loading.load(
        tmp_path,
        environment={"OPEDDEV_TRAINING__WEIGHT_DECAY": "0.3", "OPEDDEV_TRAINING__LOGGING_STEPS": "4", "PATH": "/bin"},
        overrides=["training.logging_steps=5"],
    )
    training = loaded.settings.training
    assert (training.seed, training.learning_rate, training.weight_decay, training.logging_steps) == (1, 2e-3, 0.3, 5)
    assert loaded.origin("training.seed") == str(tmp_path / "config.toml")
    assert loaded.origin("training.learning_rate") == str(tmp_path / loading.SAVED_NAME)
    assert loaded.origin("training.weight_decay") == "environment OPEDDEV_TRAINING__WEIGHT_DECAY"
    assert loaded.origin("training.logging_steps") == "--set"
    assert loaded.origin("training.max_grad_norm") == "default"


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("model.name=Qwen/Qwen3-0.6B-Base", "Qwen/Qwen3-0.6B-Base"),
        ('model.name="x y"', "x y"),
        ("model.name=1", "1"),
        ("lora.enabled=true", True),
        ("training.learning_rate=1", 1.0),
        ("training.arguments.adam_beta1=0.8", {"adam_beta1": 0.8}),
    ],
)
def test_values_of_set_are_read_as_the_key_wants(tmp_path: Path, override: str, value: object) -> None:
    settings = loading.load(tmp_path, overrides=[override], environment={}).settings
    section, key = override.split("=")[0].split(".")[:2]
    assert getattr(getattr(settings, section), key) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[training]\nlearning_rat = 1", ["training.learning_rat", "Did you mean training.learning_rate?"]),
        ("[trainin]\nseed = 1", ["[trainin]", "Did you mean training?"]),
        ("[training]\nseed = -1", ["training.seed = -1", "at least 0"]),
        ("[training]\nseed = 'x'", ["training.seed = 'x'", "a whole number"]),
        ("[training]\nlearning_rate = nan", ["training.learning_rate = nan"]),
        ("[training]\nlr_scheduler_type = 'cosin'", ["'cosin'", "one of constant_with_warmup"]),
        ("[training]\narguments = {output_dir = 'x'}", ["output_dir is owned by the app", "its own folder"]),
        ("[training]\narguments = {seed = 1}", ["has a setting of its own", "Set training.seed"]),
        ("[grading]\npattern = '('", ["not a regular expression"]),
        ("[grading]\npattern = 'Grade'", ["no group"]),
        ("training = 3", ["[training] must be a table"]),
        ("[training", ["not valid TOML"]),
    ],
)
def test_a_mistake_is_told_with_place_and_cure(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(Problems) as caught:
        loading.load(tmp_path, environment={})
    assert caught.value.exit_code == 2
    for word in [str(tmp_path / "config.toml"), *words]:
        assert word in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[training]\nseed = -1\nlearning_rat = 1\n[foo]\nx = 1")
    with pytest.raises(Problems) as caught:
        loading.load(tmp_path, overrides=["nonsense"], environment={"OPEDDEV_UI__GUARD_MS": "soon"})
    assert len(caught.value.problems) == 5


def test_saving_never_touches_the_persons_file_and_refuses_bad_values(tmp_path: Path) -> None:
    mine = tmp_path / "config.toml"
    mine.write_text("# mine\n[training]\nseed = 7 # lucky\n")
    saved = loading.save(tmp_path, {"training.seed": 9})
    with pytest.raises(Problems):
        loading.save(tmp_path, {"training.seed": "x"})
    assert mine.read_text() == "# mine\n[training]\nseed = 7 # lucky\n"
    assert loading.load(tmp_path, environment={}).settings.training.seed == 9
    loading.save(tmp_path, {"training.seed": None})
    assert loading.load(tmp_path, environment={}).settings.training.seed == 7
    assert saved.read_text().startswith("# Written by opeddev-tui")


def test_every_setting_has_a_sentence_and_its_allowed_values() -> None:
    for name in described.known_keys():
        doc, allowed = described.describe(*name.split("."))
        assert doc.endswith((".", ")")), name
        assert allowed, name
