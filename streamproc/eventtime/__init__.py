"""Event time: the clock, timestamps and watermarks."""
