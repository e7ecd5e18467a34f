"""Versions that move from stage to stage: what is declared of it, and what is decided. Pure, as all of core."""
