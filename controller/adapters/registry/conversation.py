"""The requests of one operation on one repository: each with the login that the registry wants.

Invariant: a login is sent to the registry's own origin alone, and a refused request is made again at most once.
"""

from dataclasses import dataclass

from controller.adapters.registry.access import RegistryAccess, origin_of
from controller.adapters.registry.answers import raise_for
from controller.adapters.registry.login import Login
from controller.adapters.registry.session import Answer, Operation
from controller.core.promotion.image import ImageRepository
from controller.ports.clock import Clock

_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Conversation:
    """The requests of one operation on one repository."""

    repository: ImageRepository
    access: RegistryAccess
    login: Login
    operation: Operation
    clock: Clock

    def url(self, below: str) -> str:
        """The address of something of the repository's."""
        return f"{self.access.origin}/v2/{self.repository.path}/{below}"

    def get(self, url: str, accept: str, most: int, validator: str = "") -> Answer:
        """GET; with a validator 304 is a success too.

        Raises:
            RegistryError: no success.
        """
        conditional = {"If-None-Match": validator} if validator else {}
        return self.checked(self._sent("GET", url, {"Accept": accept, **conditional}, most))

    def head(self, url: str, accept: str) -> Answer:
        """HEAD, whatever comes of it.

        Raises:
            RegistryError: no answer, or no login.
        """
        return self._sent("HEAD", url, {"Accept": accept}, 0)

    def checked(self, answer: Answer) -> Answer:
        """The answer, where it is a success.

        Raises:
            RegistryError: it is none.
        """
        raise_for(answer, str(self.repository), self.clock.now())
        return answer

    def _sent(self, method: str, url: str, headers: dict[str, str], most: int) -> Answer:
        """One request, made again with a login where the registry asks for one."""
        if origin_of(url) != origin_of(self.access.origin):
            return self.operation.send(method, url, headers, "", most)
        path = self.repository.path
        authorization = self.login.authorization(path, self.operation)
        answer = self.operation.send(method, url, headers, authorization, most)
        if answer.status != _UNAUTHORIZED or origin_of(answer.url) != origin_of(url):
            return answer
        self.login.challenged(answer.headers.get("WWW-Authenticate", ""), path)
        again = self.login.authorization(path, self.operation)
        return answer if again == authorization else self.operation.send(method, url, headers, again, most)
