"""Measurements of what the documentation claims; see `python -m benchmarks`."""
