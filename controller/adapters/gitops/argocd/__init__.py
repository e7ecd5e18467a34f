"""Argo CD: what its Applications say of deployments, and the three things that it is asked for."""
