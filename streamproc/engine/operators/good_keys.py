"""Records whose keys state can't have are failed records, like those on which a function fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.engine.failures import Failures
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError
from streamproc.state.keys import encode_key

__all__ = ["check_keys", "refusal_of", "refused_rows", "with_good_keys"]


def check_keys(keys: Iterable[Any]) -> None:
    """Find out whether state can have keys, for operators that don't load anything by them.

    Raises:
        EncodeError: There is one that it can't.
    """
    for key in keys:
        encode_key(key)


def refusal_of(key: Any) -> EncodeError | None:
    """Return why a key can't even be looked up: it is unhashable. None for one that can."""
    try:
        hash(key)
    except TypeError:
        try:
            encode_key(key)
        except EncodeError as error:
            return error
    return None


def with_good_keys(run: BatchRun, batch: Batch, failures: Failures, load: Callable[[Iterable[Any]], object]) -> Batch:
    """Return a keyed batch, without the rows whose keys can't be written if there are any.

    Args:
        run: The batch's run.
        batch: The input.
        failures: The operator's error policy.
        load: Brings the state of keys into the cache; it finds out whether there are such keys, at no cost if not.
    """
    keys = batch.keys or []
    try:
        load(dict.fromkeys(keys))
    except (EncodeError, TypeError):  # what is no key for a dict is none here either
        refused = refused_rows(run, batch, keys, failures)
        batch = batch.take([row for row in range(len(batch)) if row not in refused])
        load(dict.fromkeys(batch.keys or ()))
    return batch


def refused_rows(
    run: BatchRun, batch: Batch, keys: Sequence[Any], failures: Failures, *, of_key: bool = True
) -> set[int]:
    """Have the rows of a batch fail whose keys can't be written, and return their numbers.

    Args:
        run: The batch's run.
        batch: The rows.
        keys: The key of each.
        failures: The operator's error policy.
        of_key: Whether it is the keys of the stream that are refused, and not what the operator's function has made.
    """
    refused: set[int] = set()
    elements = batch.rows()
    for row, key in enumerate(keys):
        try:
            encode_key(key)
        except EncodeError as error:
            failures.handle(run, error, elements[row], batch.origins, row, of_key=of_key)
            refused.add(row)
    return refused
