"""E-processes, confidence bounds and dispersion: numpy only."""
