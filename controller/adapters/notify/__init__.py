"""Sinks of alerts."""
