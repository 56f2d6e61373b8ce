"""Windows: how records are assigned to them, and how they aggregate."""

from streamproc.windowing.aggregates import Aggregate, collect, count, max_of, mean_of, min_of, reducing, sum_of
from streamproc.windowing.windows import Sliding, Trailing, Tumbling, Window, WindowAssigner, WindowResult

__all__ = [
    "Aggregate",
    "Sliding",
    "Trailing",
    "Tumbling",
    "Window",
    "WindowAssigner",
    "WindowResult",
    "collect",
    "count",
    "max_of",
    "mean_of",
    "min_of",
    "reducing",
    "sum_of",
]
