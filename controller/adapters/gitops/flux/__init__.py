"""Flux: what its Kustomizations deploy, told as a ``ports.gitops.ClusterSource``."""
