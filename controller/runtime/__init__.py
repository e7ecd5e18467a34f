"""Runs the loop: hands events to core and intents to adapters, persists in between."""
