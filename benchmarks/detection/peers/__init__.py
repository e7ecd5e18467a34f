"""How others decide, each written from its documentation. Facts come from there; no code does."""
