"""`StateView`: the committed state of an operator, to be looked at while the app runs.

A view reads the store itself, which a batch changes all at once when it is committed: so it never sees one half way.
Each `StateView.get` sees the last commit; each walk over `StateView.items` the one before its first step, whatever is
committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Generic, TypeAlias, TypeVar, cast

from streamproc.dataflow.nodes import MapWithState, Node, Process, UpdateState
from streamproc.dataflow.stateful_nodes import RunningAggregate
from streamproc.dataflow.times import in_batch_time
from streamproc.dataflow.variables import List, Map, TimeToLive, Variable
from streamproc.engine.operators.expiry import is_expired
from streamproc.engine.operators.last_watermark import committed_watermark
from streamproc.errors import PipelineError
from streamproc.state.keys import decode_parts, encode_bound, encode_key, encode_prefix, prefix_end
from streamproc.state.store import Family, StateStore
from streamproc.values import decode_value

__all__ = ["Queries", "StateView"]

K = TypeVar("K")
V = TypeVar("V")

_Row: TypeAlias = tuple[Any, Any]
"""An entry of the store: its place and its value."""
_Scan: TypeAlias = Callable[[bytes, bytes], Iterator[_Row]]
"""Yields the entries of a variable between two bounds, without the variable's prefix."""
_Live: TypeAlias = Callable[[Any], Any]
"""Returns what an entry shows: the value of one that has a deadline, None if it has expired; the result of one that is
an accumulator."""
_QUERIED = (Process, UpdateState, MapWithState, RunningAggregate)
"""The operators whose state can be queried."""


class StateView(Generic[K, V]):
    """The state that an operator has committed: key by key, read-only. Made by ``App.query``.

    What there is for a key is a value, a list or a dict, as the variable is declared. What has expired isn't shown. A
    view is used in the thread of the app's event loop, as long as the app runs.
    """

    def __init__(self, scan: _Scan, live: Callable[[], _Live]) -> None:
        self._scan = scan
        self._live = live

    def get(self, key: K) -> V | None:
        """Return what is kept for a key; None if nothing is.

        Raises:
            EncodeError: No state can have such a key.
            PipelineError: The app doesn't run any more.
        """
        low = encode_key(key)
        return self._content(list(self._scan(low, low + b"\0")), self._live())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield all keys with what is kept for them, in the order of the keys.

        Raises:
            PipelineError: The app doesn't run any more.
        """
        live = self._live()
        for place, value in self._scan(b"", prefix_end(b"")):
            content = self._content([(place, value)], live)
            if content is not None:
                yield place, content

    def _content(self, rows: Sequence[_Row], live: _Live) -> V | None:
        """Return what the entries of one key are together; None if that is nothing."""
        return cast("V | None", live(rows[0][1])) if rows else None


class _ViewOfMany(StateView[K, V]):
    """A view of a variable that has several entries a key, whose places are tuples that begin with the key."""

    def get(self, key: K) -> V | None:
        """Return what is kept for a key; None if nothing is."""
        low = encode_bound((key,))
        return self._content(list(self._scan(low, prefix_end(low))), self._live())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield all keys with what is kept for them, in the order of the keys."""
        live = self._live()
        # By their bytes: 1 and 1.0 are different keys here.
        for _, group in groupby(self._scan(b"", prefix_end(b"")), key=lambda row: encode_key(row[0][0])):
            rows = list(group)
            content = self._content(rows, live)
            if content is not None:
                yield rows[0][0][0], content


class _ListView(_ViewOfMany[K, list[Any]]):
    def _content(self, rows: Sequence[_Row], live: _Live) -> list[Any] | None:
        # The length comes first: it is what a list with a time to live has its deadline at.
        if not rows or live(rows[0][1]) is None:
            return None
        return [value for _, value in rows[1:]]


class _MapView(_ViewOfMany[K, dict[Any, Any]]):
    def _content(self, rows: Sequence[_Row], live: _Live) -> dict[Any, Any] | None:
        entries = {place[1]: live(value) for place, value in rows}
        return {key: value for key, value in entries.items() if value is not None} or None


class Queries:
    """Makes the views of a shard's state.

    Args:
        operators: The plan's.
        store: The shard's.
        now: Returns the time.
        check: Raises if the store can't be read any more.
    """

    def __init__(
        self, operators: Iterable[Node], store: StateStore, now: Callable[[], int], check: Callable[[], None]
    ) -> None:
        self._nodes = {node.name: node for node in operators if isinstance(node, _QUERIED)}
        self._store = store
        self._now = now
        self._check = check

    def view(self, operator: str, variable: str | Variable) -> StateView[Any, Any]:
        """Return the view of an operator's variable.

        Raises:
            PipelineError: There is no such operator, or it has no such variable.
        """
        node = self._nodes.get(operator)
        if node is None:
            names = ", ".join(sorted(name for name in self._nodes if _variables(self._nodes[name])))
            raise PipelineError(f"no operator {operator!r} has state to be queried; those that have: {names or 'none'}")
        name = variable if isinstance(variable, str) else variable.name
        variables = _variables(node)
        declared = variables.get(name)
        if name not in variables or (isinstance(variable, Variable) and declared is not variable):
            names = ", ".join(sorted(variables))
            raise PipelineError(f"{operator} has no variable {name!r}; it has: {names or 'none'}")
        prefix = encode_prefix(operator, name)
        ttl = None if declared is None else declared.ttl

        def scan(low: bytes, high: bytes) -> Iterator[_Row]:
            return self._rows(prefix, low, high)

        def live() -> _Live:
            return self._live(node, ttl)

        if isinstance(declared, List):
            return _ListView[Any](scan, live)
        return _MapView[Any](scan, live) if isinstance(declared, Map) else StateView(scan, live)

    def _rows(self, prefix: bytes, low: bytes, high: bytes) -> Iterator[_Row]:
        self._check()
        for key, data in self._store.scan(Family.STATE, prefix + low, prefix + high):
            yield decode_parts(key, len(prefix))[0], decode_value(data)

    def _live(self, node: Node, ttl: TimeToLive | None) -> _Live:
        """Return how to tell what has expired at this moment, and what an accumulator comes to."""
        self._check()
        if isinstance(node, RunningAggregate):
            return node.aggregate.result
        if ttl is None:
            return lambda value: value
        if ttl.by == "processing" or all(map(in_batch_time, node.inputs)):
            now = self._now()
        else:
            now = committed_watermark(self._store, node.name)
        return lambda entry: None if is_expired(entry, now) else entry[0]


def _variables(node: Node) -> Mapping[str, Variable | None]:
    """Return the variables of an operator that can be queried; None for one that isn't declared."""
    return node.variables if isinstance(node, Process) else {"state": None}
