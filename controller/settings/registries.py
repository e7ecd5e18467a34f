"""How image registries are reached."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from controller.core.declared import DeclarationError
from controller.core.promotion.image import checked_host
from controller.settings.parts import Part
from controller.settings.places import NamedFile

RegistryHost = Annotated[str, AfterValidator(checked_host)]
"""A registry's host, with a port where it is not the usual one."""


class RegistryCredentials(Part):
    """Who logs in to a registry."""

    token_file: NamedFile
    """File with the password or token."""
    username: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+~@$-]{1,128}$")] | None = None
    """Who logs in with it, where the registry wants a certain name."""


class RegistrySettings(Part):
    """An image registry whose tags are followed."""

    host: RegistryHost
    """As images name it: ``registry.example.com:5000``; Docker Hub is ``docker.io``."""
    credentials: RegistryCredentials | None = None
    """None: nobody logs in."""
    ca_file: NamedFile | None = None
    """Certificate authorities that the registry is checked by, in place of the system's."""
    plain_http: bool | None = None
    """Without TLS; left out: only on this machine (loopback), where no ``caFile`` is given."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.plain_http and self.ca_file is not None:
            raise DeclarationError("plainHttp is set, and caFile is for TLS", "leave one of them out")
        return self
