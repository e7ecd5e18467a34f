"""Metrics sources: Prometheus, and whatever answers as one does."""
