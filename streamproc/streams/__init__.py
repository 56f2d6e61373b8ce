"""The fluent API: it only builds nodes of the dataflow."""
