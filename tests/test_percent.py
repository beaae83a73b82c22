"""A share is written one way, "76%", wherever it is read: by the functions of ``format`` in code, so in documents."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from opeddev_tui.format import percent, share

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "opeddev_tui").rglob("*.py"))
# "76 %", with any blank; 7 % 3 and {{ name }} %} are no shares
OTHER = re.compile(r"(?:(?<![\w.])\d+(?:[.,]\d+)*|\})[ \u00a0\u2009\u202f]%(?![\w}])(?! ?\d)")
# what is written for people beside the package's own texts
DOCUMENTS = [
    *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config.toml",
    *(ROOT / "opeddev_tui").rglob("*.jinja"),
]  # fmt: skip
# {value:.0%} anywhere else would be a second form that nobody finds
SPEC = re.compile(r"\{[^{}]*:[^{}]*%\}|['\"]\.\d%['\"]")


def texts_of(path: Path) -> Iterator[str]:
    """Yield the texts and comments of a module; in code % divides."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token.string


def test_a_share_and_a_figure_in_percent_are_written_alike() -> None:
    assert (share(0.756), share(0.756, 1), share(None), share(float("nan"))) == ("76%", "75.6%", "–", "–")
    assert (percent(75.6), percent(0.0), percent(None), percent(float("inf"))) == ("76%", "0%", "–", "–")


@pytest.mark.parametrize("text", ["76 %", "3.5 % of", "{value:.0f} %", "80 to 99\u00a0%."])
def test_what_is_looked_for_is_found(text: str) -> None:
    assert OTHER.search(text)
    assert not OTHER.search(text.replace(" %", "%").replace("\u00a0%", "%"))


def test_no_text_of_the_package_writes_it_otherwise() -> None:
    assert len(PACKAGE) > 300
    assert {path.name: text for path in PACKAGE for text in texts_of(path) if OTHER.search(text)} == {}


def test_no_document_writes_it_otherwise() -> None:
    assert len(DOCUMENTS) > 15
    assert {path.name: found[0] for path in DOCUMENTS if (found := OTHER.search(path.read_text()))} == {}


def test_only_format_formats_a_share() -> None:
    found = {path.name for path in PACKAGE for text in texts_of(path) if SPEC.search(text)}
    # a template of the model's own is no share
    assert found == {"template_defaults.py"}
