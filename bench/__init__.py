"""Benchmarks: each prints one JSON line with the machine and the versions it ran on."""
