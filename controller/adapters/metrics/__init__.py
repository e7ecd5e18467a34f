"""Metrics servers."""
