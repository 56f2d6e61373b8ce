"""The operators of windows.

`sliced` runs windows that are the same for all keys and give one result when the watermark is at their end; `paned` all
others: with triggers, sessions, windows of one's own. `counted` counts records instead of time, and `rolling` is
Spark's ``reduceByKeyAndWindow`` with an inverse function.
"""
