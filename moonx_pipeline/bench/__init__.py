"""Benchmarks: what a sync costs on this machine, against the simulator."""
