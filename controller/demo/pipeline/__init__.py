"""``rollguard demo --pipeline``: versions move from stage to stage on this machine, and a bad one is stopped.

Invariant: nothing is pretended. Gitea, the registry, Git, Prometheus, the controller and the requests are real; what people
and the continuous integration do is done through Gitea's API, with accounts of their own. Only the shop's fault is made on
purpose, and it lies in the image.
"""
