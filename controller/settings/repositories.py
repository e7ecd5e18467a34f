"""How Git repositories and the web services around them are reached."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controller.core.declared import DeclarationError
from controller.settings.addresses import RepositoryUrl, ServerUrl, needs_key
from controller.settings.parts import Part
from controller.settings.places import NamedFile


class GithubAppSettings(Part):
    """A GitHub App's installation."""

    app_id: Annotated[int, Field(gt=0)]
    """The App's number."""
    installation_id: Annotated[int, Field(gt=0)]
    """The number of its installation in the organisation."""
    private_key_file: NamedFile
    """PEM file with the App's private key."""
    api_url: ServerUrl | None = None
    """Root of GitHub's API; left out: as the repository's URL says (``https://HOST/api/v3`` beside github.com)."""


class Credentials(Part):
    """How a repository is reached: exactly one of tokenFile, sshKeyFile (with knownHostsFile) and githubApp."""

    token_file: NamedFile | None = None
    """File with the token (over https)."""
    username: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+~-]{1,128}$")] | None = None
    """Who logs in with the token, where the server wants a certain name."""
    ssh_key_file: NamedFile | None = None
    """Private key (over ssh)."""
    known_hosts_file: NamedFile | None = None
    """The server's host keys: nothing else is trusted."""
    github_app: GithubAppSettings | None = None
    """An App's installation: tokens of an hour, each for this repository alone."""
    ca_file: NamedFile | None = None
    """Certificate authorities that the server (and GitHub's API) is checked by, in place of the system's."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"tokenFile": self.token_file, "sshKeyFile": self.ssh_key_file, "githubApp": self.github_app}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1:
            said = "none is given" if not given else f"{' and '.join(given)} are given"
            raise DeclarationError(said, "give exactly one: tokenFile or sshKeyFile or githubApp")
        if (self.ssh_key_file is None) != (self.known_hosts_file is None):
            raise DeclarationError(
                "sshKeyFile and knownHostsFile go together", "write the host's keys to a file: ssh-keyscan HOST"
            )
        if self.username is not None and self.token_file is None:
            raise DeclarationError("username goes with tokenFile", "leave it out")
        if self.ca_file is not None and self.ssh_key_file is not None:
            raise DeclarationError(
                "caFile goes with tokenFile or githubApp", "over SSH, knownHostsFile says whom to trust"
            )
        return self


class ForgeSettings(Part):
    """The web service around a repository, for pull requests and links: reached by one of tokenFile and githubApp."""

    type: Literal["github", "gitlab", "gitea"]
    """What it runs; ``gitea`` is Forgejo too."""
    url: ServerUrl
    """Root of the web service."""
    token_file: NamedFile | None = None
    """File with a token that may open pull requests."""
    github_app: GithubAppSettings | None = None
    """An App's installation, in place of a token; it may be the one that Git logs in with."""
    ca_file: NamedFile | None = None
    """Certificate authorities that the web service is checked by, in place of the system's."""
    commits: Literal["Git", "Forge"] = "Git"
    """Who makes the commits that go into a branch directly. ``Forge``: GitHub does, and signs them; ``Git``:
    they are pushed, and GitHub makes those that a branch refuses for their signature."""
    webhook_secret_file: NamedFile | None = None
    """File with the secret of the forge's webhooks; left out: they are refused, and polling alone finds what is new."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token_file is None) == (self.github_app is None):
            said = "neither tokenFile nor githubApp is given" if self.token_file is None else "both are given"
            raise DeclarationError(said, "give exactly one: tokenFile or githubApp")
        if self.github_app is not None and self.type != "github":
            raise DeclarationError(f"githubApp does not go with type {self.type}", "use tokenFile")
        if self.commits == "Forge" and self.type != "github":
            raise DeclarationError(
                f"commits: Forge does not go with type {self.type}", "leave it out: Git makes them"
            )
        return self


class SigningSettings(Part):
    """Signs what Rollguard commits."""

    ssh_key_file: NamedFile
    """Private SSH key, without a passphrase."""


class RepositorySettings(Part):
    """A repository that Rollguard may write to."""

    url: RepositoryUrl
    """``https://…``, ``http://…``, ``ssh://…``, ``git@host:path`` or ``file:///…``."""
    credentials: Credentials | None = None
    """None: by Argo CD's Secret where ``cluster.repositorySecrets`` has one for it, else without, as over ``file://``."""
    forge: ForgeSettings | None = None
    signing: SigningSettings | None = None

    @model_validator(mode="after")
    def _way_fits(self) -> Self:
        way = self.credentials
        by_ssh = needs_key(self.url)
        if way is not None and (way.ssh_key_file is not None) != by_ssh:
            fitting = "sshKeyFile and knownHostsFile" if by_ssh else "tokenFile"
            raise DeclarationError("these credentials do not fit the URL", f"use credentials.{fitting}")
        return self
