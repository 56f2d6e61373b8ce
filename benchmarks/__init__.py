"""Measurements of the real engine: ``make bench``, or ``python -m benchmarks --only NAME``.

The machine is assumed to be shared and noisy: what is compared runs interleaved in one process, and ratios are taken
pair by pair before their median.
"""
