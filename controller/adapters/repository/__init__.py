"""The adapter to Git repositories: a kept mirror, object-database plumbing and a compare-and-swap push."""

from controller.adapters.repository.adapter import DEFAULT_CLONE_TIMEOUT, DEFAULT_TIMEOUT, GitRepository
from controller.adapters.repository.credentials import CredentialSource, GitCredentials, SigningKey

__all__ = [
    "DEFAULT_CLONE_TIMEOUT",
    "DEFAULT_TIMEOUT",
    "CredentialSource",
    "GitCredentials",
    "GitRepository",
    "SigningKey",
]
