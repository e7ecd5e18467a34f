"""The scoreboard: how often, how soon and how rightly deployments are judged, by Rollguard and by others' rules.

Every family of deployments is drawn from a seed, so that whoever runs it gets the same figures. Rollguard is run by the
controller's own functions; the others by their documented rules, written anew here.
"""
