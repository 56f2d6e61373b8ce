"""The contracts of sources and sinks; no client of any system."""
