"""Protocols between deciding and the outside world, and one error tree for each."""
