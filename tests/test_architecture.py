"""The dependency direction, held by a real import in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "datasets", "peft", "accelerate", "sklearn", "matplotlib")


@pytest.mark.parametrize(
    "module", ["opeddev_tui.ui.app", "opeddev_tui.cli", "opeddev_tui.commands.status", "opeddev_tui.state"]
)
def test_it_is_imported_without_the_training_stack(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_module_says_what_it_owns() -> None:
    package = Path(__file__).parent.parent / "opeddev_tui"
    silent = [str(path) for path in package.rglob("*.py") if not path.read_text().lstrip().startswith('"""')]
    assert silent == []
