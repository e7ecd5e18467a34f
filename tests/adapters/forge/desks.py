"""A forge's adapter, and the stand-in for that forge's API that it speaks to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.adapters.forge.opening import ForgeAccess, open_forge
from controller.core.forge import PullRequest, PullRequestDraft
from controller.core.forge_links import ForgeKind
from tests.fakes.forge_state import BOT, NAME, OWNER
from tests.fakes.manual_clock import ManualClock
from tests.servers.forge_api import Call, ForgeApi
from tests.servers.receiver import Receiver

BRANCH = "rollguard/staging"
DRAFT = PullRequestDraft(BRANCH, "main", "Promote two", "What changes")


@dataclass
class ForgeDesk:
    """Use ``receiver`` as a context manager."""

    kind: ForgeKind
    api: ForgeApi
    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.receiver = Receiver(self.api)

    def forge(self, **more: Any) -> Any:
        """The adapter; GitHub's Enterprise layout is asked below /api/v3."""
        file = self.folder / "token"
        file.write_text(self.api.token)
        url = self.receiver.url
        given = {"token_file": file, "seconds": 10.0} | more
        return open_forge(ForgeAccess(self.kind, url, f"{url}/{OWNER}/{NAME}.git", **given), self.clock)

    def begin(self) -> None:
        """A commit on main, and one on the bot's branch."""
        self.api.state.commit("main", {"app.yaml": "image: one\n"}, by="ann")
        self.api.state.commit(BRANCH, {"app.yaml": "image: two\n"}, by=BOT)

    def proposed(self, forge: Any) -> PullRequest:
        """A pull request of the bot's."""
        self.begin()
        made = forge.open(DRAFT)
        assert isinstance(made, PullRequest)
        return made

    def lose_replies(self, method: str, ending: str, times: int = 1) -> None:
        """The replies to so many of these requests are lost after they were carried out."""
        left = [times]

        def lose(call: Call) -> bool:
            if call.method != method or not call.path.endswith(ending) or not left[0]:
                return False
            left[0] -= 1
            return True

        self.api.lose = lose

    def asked(self, method: str, ending: str) -> list[Call]:
        """The requests of a kind."""
        return [each for each in self.api.calls if each.method == method and each.path.endswith(ending)]
