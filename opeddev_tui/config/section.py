"""What the tables of config.toml have in common."""

from typing import Annotated

from msgspec import Meta, Struct

Batch = Annotated[int, Meta(ge=1, le=4096)]
Rate = Annotated[float, Meta(gt=0, le=1)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of config.toml."""
