"""Where it is written down."""

from controller.adapters.store.sqlite import SqliteStore

__all__ = ["SqliteStore"]
