"""Do the linear algebra of a fit on one thread.

A fit solves thousands of systems of a few numbers. Beside other work more threads wait for each other up to ten times
longer than they compute, on the cores that the training and the screen need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Have the libraries of numpy and scipy compute on one thread inside the block, or in a decorated function."""
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> Any:
    # scipy loads its linear algebra with this module; to search for what is loaded takes milliseconds
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
