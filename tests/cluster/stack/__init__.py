"""A real Kubernetes API server with Argo CD, Flux and Gitea on loopback, as plain processes, for tests/cluster."""
