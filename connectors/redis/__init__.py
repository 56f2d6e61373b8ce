"""Sinks that write to Redis: hashes that follow the newest row of each key, and a stream of all rows."""

from __future__ import annotations

from .hash_sink import RedisHashSink
from .sink import RedisSink
from .stream_sink import RedisStreamSink

__all__ = ["RedisHashSink", "RedisSink", "RedisStreamSink"]
