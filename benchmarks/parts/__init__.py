"""The parts: each module measures one property and runs by itself as `python -m benchmarks.parts.NAME`."""
