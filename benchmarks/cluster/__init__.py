"""Rollguard in a cluster of many applications, for benchmarks."""
