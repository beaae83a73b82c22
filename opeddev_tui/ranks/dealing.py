"""Deal rows to ranks in whole batches, in turn, so that what is read does not depend on how many ranks there are.

A rank that gets whole batches of one order, and sorts them as one rank alone would, makes the same batches again.
"""

from collections.abc import Iterable, Sequence


def in_turn(batches: Iterable[Sequence[int]], world: int) -> list[list[int]]:
    """Return the places of each of ``world`` ranks: batch number n goes to rank n modulo ``world``."""
    shares: list[list[int]] = [[] for _ in range(world)]
    for number, batch in enumerate(batches):
        shares[number % world] += batch
    return shares


def by_length(lengths: Sequence[int], batch: int, world: int) -> list[list[int]]:
    """Return the places of each rank where rows are read longest first, ``batch`` together."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place], reverse=True)
    return in_turn((order[at : at + batch] for at in range(0, len(order), batch)), world)


def evenly(rows: Sequence[int], batch: int, world: int) -> list[list[list[int]]]:
    """Return [batches][ranks] lists of the ``rows`` of one optimizer step: as few batches as hold them, alike in size.

    ``batch`` is the most rows of one rank's batch. Read batch by batch and rank by rank they are ``rows`` in order; a
    rank's list is empty where there are fewer rows than places.
    """
    count = max(1, -(-len(rows) // (batch * world)))
    places = count * world
    size, larger = divmod(len(rows), places)
    slots: list[list[int]] = []
    at = 0
    for number in range(places):
        length = size + (number < larger)
        slots.append(list(rows[at : at + length]))
        at += length
    return [slots[first : first + world] for first in range(0, places, world)]
