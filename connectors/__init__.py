"""Sources and sinks, one folder a system; a client library is imported in its own folder only."""
