"""The command line of the example: ``python -m examples.trending_topics --help``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from examples.out_directory import new_directory
from examples.trending_topics.pipeline import Post, Topic, Trends, build
from examples.trending_topics.posts import write_posts
from streamproc import App, Asap, BatchInfo, Interval, Settings
from streamproc.connectors.files import DirectorySource, Ndjson


def main(
    posts: Annotated[Path | None, typer.Argument(help="A directory of NDJSON files; made-up ones by default.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for more files.")] = False,
    k: Annotated[int, typer.Option("-k", min=1, help="How many topics are the largest.")] = 4,
    minutes: Annotated[int, typer.Option(min=1, help="How many minutes to make up.")] = 120,
    seed: Annotated[int, typer.Option(help="Chooses what is made up.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The directory for results; a new one in out/ by default.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The directory for state; OUT/state by default.")] = None,
) -> None:
    """Find the hashtags that are used most over the last ten minutes, each minute.

    Started again with the same --out, it goes on where it was, also after a crash.
    """
    results = out or new_directory("trending_topics")
    if posts is None:
        posts = results / "posts"
        write_posts(posts, minutes, seed)
    settings = Settings(state_dir=str(state_dir or results / "state"), log_level="WARNING")
    app = App("trending_topics", trigger=Interval("500ms") if watch else Asap(), settings=settings)
    source = DirectorySource(posts, Ndjson(Post), "*.ndjson", watch=watch)
    build(app.source(source), results / "trends", show, k=k)
    app.run()
    print(f"{app.metrics.records:,} posts; the trends are in {results / 'trends'}")


def show(windows: list[Trends], _batch: BatchInfo) -> None:
    """Print a line for each window: its topics, and whether they rise."""
    for window in windows:
        start, end = (datetime.fromtimestamp(time / 1000, UTC) for time in (window.start, window.end))
        topics = "  ".join(cell(place, topic) for place, topic in enumerate(window.topics, 1))
        print(f"{start:%H:%M} to {end:%H:%M}  {topics}".rstrip(), flush=True)


def cell(place: int, topic: Topic) -> str:
    """Return a topic as text of one width: ``+`` marks those that were not there, ``^`` those that have risen."""
    mark = "+" if topic.before is None else "^" if place < topic.before else " "
    return f"#{topic.tag:<10} {topic.posts:4} {mark}"


if __name__ == "__main__":
    typer.run(main)
