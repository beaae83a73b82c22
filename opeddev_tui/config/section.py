"""What the tables of config.toml have in common."""

from typing import Annotated

from msgspec import Meta, Struct

Batch = Annotated[int, Meta(ge=1, le=4096)]
Rate = Annotated[float, Meta(gt=0, le=1)]


class Each(Struct, frozen=True):
    """What each value of a setting that takes one of a few means, by value: beside the type, before the help."""

    words: dict[str, str]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of config.toml."""
