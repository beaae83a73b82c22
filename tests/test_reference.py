"""The generated references say what the code says: commands, settings, config.toml, the README's table."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The tool that writes them; it lies outside the package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_generated_is_out_of_date(reference: ModuleType) -> None:
    assert {"README.md", "config.toml", "commands.md", "settings.md", "keys.md"} == {
        path.name for path in reference.pages()
    }
    assert [path.name for path in reference.outdated()] == [], "run: python tools/reference.py"


@pytest.mark.parametrize("width", ["40", "200"])
def test_the_pages_do_not_depend_on_the_terminal(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert reference.outdated() == []


def test_the_readme_shows_each_command_with_its_own_options(reference: ModuleType) -> None:
    usages = {name: reference.usage(name, parser) for name, parser in reference.command_parsers()}
    assert usages["train"] == (
        "train [--step next|all|K] [--policy rule|ask] [--new] [--detach] [--from latest|best|CHECKPOINT] "
        "[--seeds N|A,B,C] [--choose best|median|ask|SEED] [--at-once N]"
    )
    assert usages["decide"] == (
        "decide [continue|stop] [--next-learning-rate RATE] [--next-batch NAME] [--result latest|best] [--rule] "
        "[--run ID] [--note TEXT]"
    )
    assert (
        usages["export-logs"]
        == "export-logs --tensorboard DIR | --jsonl FILE | --tracker tensorboard|wandb|trackio|mlflow"
    )
    assert usages["checkpoints"].startswith("checkpoints list|show|verify|")


def test_the_check_names_what_is_out_of_date(tmp_path: Path) -> None:
    for name in (
        "README.md",
        "config.toml",
        "docs/commands.md",
        "docs/settings.md",
        "docs/keys.md",
        "tools/reference.py",
    ):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    tool = [sys.executable, str(tmp_path / "tools/reference.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def check() -> tuple[int, str]:
        done = subprocess.run([*tool, "--check"], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert check() == (0, "")
    (tmp_path / "config.toml").write_text("# edited by hand\n")
    (tmp_path / "docs/settings.md").unlink()
    code, told = check()
    assert code == 1
    assert told.startswith("out of date: docs/settings.md, config.toml. Run: ")
    subprocess.run(tool, env=environment, check=True)
    assert check() == (0, "")
