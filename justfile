# Tasks for contributors. `just` alone lists them; they use the environment in .venv (see CONTRIBUTING.md).

python := ".venv/bin/python"

_list:
    @just --list --unsorted

# make the environment with the tested versions
setup:
    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[dev]'
    .venv/bin/pre-commit install

# run the demo in the app, or without it: just demo --headless
demo *OPTIONS:
    {{python}} -m opeddev_tui demo {{OPTIONS}}

# open the app on a workspace: just serve ~/my-grader
serve WORKSPACE=".":
    {{python}} -m opeddev_tui {{WORKSPACE}}

# run all tests, or some: just test tests/data/test_rows.py -k weight
test *ARGS:
    {{python}} -m pytest {{ARGS}}

# style, types, import contracts, generated references: all that CI checks besides the tests
check:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports
    {{python}} tools/reference.py --check

# format and mend what can be mended without you
fix:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# write the snapshots of the screens anew; look at the difference before you commit it
snapshots:
    UPDATE_SNAPSHOTS=1 {{python}} -m pytest -n 0 tests/ui/test_snapshots.py tests/ui/test_browser_snapshots.py

# draw the pictures of the documentation anew
pictures:
    {{python}} benchmarks/screenshots.py

# write docs/commands.md, docs/settings.md, docs/keys.md, config.toml and the README's table from the code
reference:
    {{python}} tools/reference.py

# everything CI does, from a clean environment
ci:
    .ci/run
