"""The direction of dependencies: no import circle, and the training stack is loaded only by who trains."""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping, Set
from pathlib import Path

import grimp
import pytest

from opeddev_tui.config.settings import GIVEN_FIELDS, ROW_FIELDS, Grade

HEAVY = ("torch", "transformers", "datasets", "peft", "accelerate", "sklearn", "matplotlib")


@pytest.mark.parametrize(
    "module", ["opeddev_tui.ui.app", "opeddev_tui.cli", "opeddev_tui.commands.status", "opeddev_tui.runs.state"]
)
def test_it_is_imported_without_the_training_stack(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_module_says_what_it_owns() -> None:
    package = Path(__file__).parent.parent / "opeddev_tui"
    silent = [str(path) for path in package.rglob("*.py") if not path.read_text().lstrip().startswith('"""')]
    assert silent == []


def test_the_fields_of_a_submission_that_can_be_said_are_named_in_one_place() -> None:
    package = Path(__file__).parent.parent / "opeddev_tui"
    named = {
        (str(path.relative_to(package)), ast.unparse(node))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict)
        and {ast.unparse(item) for item in (node.keys if isinstance(node, ast.Dict) else node.elts) if item}
        in ({"'task'", "'rubric'"}, {"'task'", "'rubric'", "'kind'"})
    }
    assert named == {("config/grading_settings.py", "('task', 'rubric')")}
    assert GIVEN_FIELDS == ("task", "rubric", "kind")
    assert set(GIVEN_FIELDS) < set(ROW_FIELDS)
    assert all(hasattr(Grade(), name) for name in GIVEN_FIELDS)


def import_circles(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others (``{importer: imported}``)."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = imports.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in imports}
    circles = {
        tuple(sorted(other for other in reach[module] if module in reach.get(other, ())))
        for module in imports
        if module in reach[module]
    }
    return [list(circle) for circle in sorted(circles)]


@pytest.mark.parametrize(
    ("imports", "circles"),
    [
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"outside"}}, [["a", "b", "c"]]),
        ({"a": {"a"}}, [["a"]]),
        ({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_a_made_up_circle_is_found(imports: dict[str, set[str]], circles: list[list[str]]) -> None:
    assert import_circles(imports) == circles


def test_no_import_circle() -> None:
    graph = grimp.build_graph("opeddev_tui", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "opeddev_tui.ui.app" in imports
    assert import_circles(imports) == []


PRIVATE = re.compile(r"textual\._|super\(\)\._(?!_)|\b(?:app|screen|driver|console)\._(?!_)")


def test_private_names_of_textual_are_used_in_one_file_only() -> None:
    package = Path(__file__).parent.parent / "opeddev_tui"
    paths = [path for room in ("ui", "terminal") for path in (package / room).rglob("*.py")]
    users = {path.name for path in paths if PRIVATE.search(path.read_text())}
    assert users == {"textual_private.py"}
