"""Rollguard: an SLO-guarded progressive rollout controller for people who deploy through Git."""

__version__ = "0.1.0"
