"""Checks and timings for a GPU: ``python tests/benchmarks/gpu/check.py``."""
