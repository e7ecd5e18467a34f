"""Evidence as numbers: e-processes, bounds and dispersion. Pure functions of NumPy arrays; all logarithms are natural.

Invariant: axes before the last are a batch and are never mixed; the last axis is time, one element a tick. A tick
without data is zero events and multiplies the evidence by one.
"""
