"""Records whose keys state can't have are failed records, like those on which a function fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from types import NoneType
from typing import Any, Final

from streamproc.batch import Batch
from streamproc.engine.failures import Failures
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError
from streamproc.state.keys import decode_key, encode_key

__all__ = ["check_keys", "refusal_of", "refused_rows", "with_good_keys"]

_PLAIN: Final = frozenset({str, bytes, NoneType})
_TOLD_APART: Final = (_PLAIN | {int}, _PLAIN | {float}, _PLAIN | {bool})


def check_keys(keys: Iterable[Any]) -> None:
    """Find out whether state can have keys, for operators that don't load anything by them.

    Raises:
        EncodeError: There is one that it can't.
    """
    for key in keys:
        encode_key(key)


def is_told_apart(keys: Sequence[Any]) -> bool:
    """Return whether two keys that are equal are the same key, as far as their types tell.

    They may not be where types mix: 1, 1.0, True and Decimal(1) are one key to a dict, but not to state.
    """
    kinds: set[type] = set(map(type, keys))
    if kinds == {tuple}:
        kinds = set(map(type, chain.from_iterable(keys)))
    return any(kinds <= allowed for allowed in _TOLD_APART)


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


def with_good_keys(
    run: BatchRun,
    batch: Batch,
    failures: Failures,
    load: Callable[[Iterable[Any]], object],
    *,
    by_type: bool = False,
) -> Batch:
    """Return a keyed batch, without the rows whose keys are refused if there are any: see `refused_rows`.

    Args:
        run: The batch's run.
        batch: The input.
        failures: The operator's error policy.
        load: Brings the state of keys into the cache; it finds out whether there are such keys, at no cost if not.
        by_type: Whether the operator tells keys apart that are equal but of different types.
    """
    keys = batch.keys or []
    if is_told_apart(keys):
        try:
            load(dict.fromkeys(keys))
        except EncodeError:
            pass
        else:
            return batch
    refused = refused_rows(run, batch, keys, failures, by_type=by_type)
    if refused:
        batch = batch.take([row for row in range(len(batch)) if row not in refused])
    load(dict.fromkeys(batch.keys or ()))
    return batch


def refused_rows(
    run: BatchRun,
    batch: Batch,
    keys: Sequence[Any],
    failures: Failures,
    *,
    by_type: bool = False,
    of_key: bool = True,
) -> set[int]:
    """Have the rows of a batch fail whose keys can't be written, and return their numbers.

    Where the operator collects the rows of a key, so do those whose keys are equal to one before them but of another
    type: they would be of the same key within a batch, and of different ones in two.

    Args:
        run: The batch's run.
        batch: The rows.
        keys: The key of each.
        failures: The operator's error policy.
        by_type: Whether the operator tells keys apart that are equal but of different types.
        of_key: Whether it is the keys of the stream that are refused, and not what the operator's function has made.
    """
    refused: set[int] = set()
    elements = batch.rows()
    known: dict[Any, bytes] = {}
    for row, key in enumerate(keys):
        try:
            encoded = encode_key(key)
            first = known.setdefault(key, encoded)
            if first != encoded and not by_type:
                raise EncodeError(
                    f"the key {key!r} is equal to {decode_key(first)!r}, the key of another record, and is a different "
                    "key: make the keys of a stream of one type, such as float(key)"
                )
        except EncodeError as error:
            failures.handle(run, error, elements[row], batch.origins, row, of_key=of_key)
            refused.add(row)
    return refused
