"""Kafka: topics as sources and sinks, exactly-once."""

from . import extra as extra  # the first: says what to install before anything needs it
from .record import KafkaRecord
from .secret import Secret
from .settings import KafkaSettings
from .sink import KafkaSink
from .source import KafkaSource

__all__ = ["KafkaRecord", "KafkaSettings", "KafkaSink", "KafkaSource", "Secret"]
