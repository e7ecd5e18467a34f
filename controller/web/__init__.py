"""HTTP: health, metrics, the deployed hook."""
