"""Manifests that the tests deploy."""

IMAGE = "registry.example.com/shop"


def deployment(name: str, image: str, *, replicas: int = 2, deadline: int = 600) -> str:
    """A Deployment of a service; kwok's stages decide from the image's tag whether its pods become ready.

    ``deadline`` is after how many seconds without progress Kubernetes says so, and Argo CD calls it Degraded.
    """
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  progressDeadlineSeconds: {deadline}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: "{image}"}}]}}
"""


def image_of(deployed: dict) -> str:
    """The image that a Deployment's template names."""
    return str(deployed["spec"]["template"]["spec"]["containers"][0]["image"])
