"""The pipeline: from events of ads to the views of each ad in every ten seconds."""

from __future__ import annotations

from operator import attrgetter

from examples.ad_counts.kafka import KAFKA
from streamproc import App, KeyedStream, Record, Stream, Tumbling, WindowResult, count
from streamproc.connectors.kafka import KafkaSink, KafkaSource

__all__ = ["AdEvent", "count_views", "make_app"]


class AdEvent(Record):
    """Something that happened to an ad.

    Attributes:
        ad_id: Which ad.
        event_type: ``"view"``, ``"click"`` or ``"purchase"``.
        event_time: When, in epoch milliseconds.
    """

    ad_id: str
    event_type: str
    event_time: int


def make_app(ads: str, counts: str) -> App:
    """Return the job.

    Args:
        ads: The topic with the events.
        counts: The topic for the results, and the app's name: a job that writes elsewhere has a state of its own.
    """
    app = App(counts)
    count_views(app.source(KafkaSource(ads, value=AdEvent, kafka=KAFKA))).to(KafkaSink(counts, kafka=KAFKA))
    return app


def count_views(events: Stream[AdEvent]) -> KeyedStream[str, WindowResult[int]]:
    """Count the views of each ad in windows of ten seconds; events may be late by five."""
    return (
        events.event_time(attrgetter("event_time"), out_of_orderness="5s")
        .filter(is_view)
        .key_by(attrgetter("ad_id"))
        .window(Tumbling("10s"))
        .aggregate(count(), name="views")
    )


def is_view(event: AdEvent) -> bool:
    """Return whether an ad was seen."""
    return event.event_type == "view"
