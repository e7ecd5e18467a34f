"""Git repositories: the only place that runs Git."""
