"""Sources of syncs."""
