"""Kafka: topics as sources and sinks, exactly-once."""

from .record import KafkaRecord
from .settings import KafkaSettings
from .sink import KafkaSink
from .source import KafkaSource

__all__ = ["KafkaRecord", "KafkaSettings", "KafkaSink", "KafkaSource"]
