"""Records whose keys state can't have are failed records, like those on which a function fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from streamproc.batch import Batch
from streamproc.engine.failures import Failures
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError
from streamproc.state.keys import encode_key

__all__ = ["with_good_keys"]


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
        good: list[int] = []
        for row, key in enumerate(keys):
            try:
                encode_key(key)
                good.append(row)
            except EncodeError as error:
                failures.handle(run, error, (key, batch.values[row]), batch.origins, row)
        batch = batch.take(good)
        load(dict.fromkeys(batch.keys or ()))
    return batch
