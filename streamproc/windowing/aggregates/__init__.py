"""Aggregates: how many values become one. Each module has those of one kind; `aggregate` says what one is.

What an accumulator is stays each aggregate's own affair, and its type is ``Any``: with one that depends on the type of
values, mypy would not find that from the stream.
"""

from streamproc.windowing.aggregates.aggregate import Aggregate, identity, reducing
from streamproc.windowing.aggregates.collection import collect, distinct, distinct_count
from streamproc.windowing.aggregates.distribution import histogram, quantile, quantiles
from streamproc.windowing.aggregates.numbers import count, mean_of, sum_of, variance_of
from streamproc.windowing.aggregates.order import first, last, max_of, min_of, top_k
from streamproc.windowing.aggregates.several import Aggregates, Several, several

__all__ = [
    "Aggregate",
    "Aggregates",
    "Several",
    "collect",
    "count",
    "distinct",
    "distinct_count",
    "first",
    "histogram",
    "identity",
    "last",
    "max_of",
    "mean_of",
    "min_of",
    "quantile",
    "quantiles",
    "reducing",
    "several",
    "sum_of",
    "top_k",
    "variance_of",
]
