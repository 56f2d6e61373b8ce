"""The pipeline: from posts to the largest topics of each sliding window."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from heapq import nsmallest
from pathlib import Path

from streamproc import BatchInfo, Record, Sliding, Stream, WindowResult, count
from streamproc.connectors.files import FileSink, Ndjson, Roll

__all__ = ["Post", "Topic", "Trends", "build", "hashtags"]

_HASHTAG = re.compile(r"#(\w+)")


class Post(Record):
    """What somebody has written.

    Attributes:
        at: When, in epoch milliseconds.
        user: Who.
        text: What, with hashtags.
    """

    at: int
    user: str
    text: str


class Topic(Record):
    """A hashtag among the largest of a window.

    Attributes:
        tag: The hashtag, in lower case.
        posts: How many posts have it.
        before: Its place in the window before, from 1; None if it was not among the largest.
    """

    tag: str
    posts: int
    before: int | None = None


class Trends(Record):
    """The largest topics of a window ``[start, end)``, in epoch milliseconds; the largest first."""

    start: int
    end: int
    topics: list[Topic]


def build(posts: Stream[Post], out: Path, show: Callable[[list[Trends], BatchInfo], object], *, k: int = 4) -> None:
    """Build the pipeline on posts, which may be out of order by half a minute.

    Args:
        posts: The posts.
        out: The directory for results: a row of NDJSON for the `Trends` of each window, exactly once.
        show: Is given those of each batch, after they are committed.
        k: How many topics are the largest.
    """
    counts = (
        posts.event_time(lambda post: post.at, out_of_orderness="30s", name="post-time")
        .flat_map(hashtags)
        .key_by(str)
        .window(Sliding("10m", every="1m"))
        .aggregate(count(), name="counts")
    )
    trends = (
        # Behind a window, this is called once for each window, however many end within a batch.
        counts.transform(partial(largest, k), name="largest")
        .key_by(lambda _: "all")
        .map_with_state(compared, name="compared")
        .map(lambda row: row[1])
    )
    trends.to(FileSink(out, Ndjson(), roll=Roll(every="1m")), name="trends")
    trends.foreach_batch(show, name="show")


def hashtags(post: Post) -> set[str]:
    """Return the hashtags of a post."""
    return {tag.lower() for tag in _HASHTAG.findall(post.text)}


def largest(k: int, counts: list[tuple[str, WindowResult[int]]]) -> list[Trends]:
    """Return the ``k`` largest topics of one window, equal ones in the order of their names."""
    if not counts:
        return []
    window = counts[0][1]
    ranked = nsmallest(k, [(-result.value, tag) for tag, result in counts])
    return [Trends(window.start, window.end, [Topic(tag, -posts) for posts, tag in ranked])]


def compared(_key: str, trends: Trends, before: list[str] | None) -> tuple[Trends, list[str]]:
    """Return the trends with the places that topics had in the window before, and the state for the next."""
    places = {tag: place for place, tag in enumerate(before or (), 1)}
    topics = [Topic(topic.tag, topic.posts, places.get(topic.tag)) for topic in trends.topics]
    return Trends(trends.start, trends.end, topics), [topic.tag for topic in topics]
