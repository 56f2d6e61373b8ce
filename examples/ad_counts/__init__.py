"""Counts the views of ads from Kafka to Kafka, exactly-once."""
