"""All that the demo of one service consists of: the repository, the shop, Prometheus, the controller, customers."""

from pathlib import Path

from controller.demo.files import POLICY, settings
from controller.demo.ground import Ground
from controller.demo.interruption import Interruption
from controller.demo.load import Tally
from controller.demo.manifest import APPLICATION, Behaviour
from controller.demo.repository import Shared


class Site(Ground):
    """One shop, deployed from one repository."""

    shared: Shared

    def __init__(self, folder: Path, interruption: Interruption) -> None:
        super().__init__(folder, interruption)
        self.tally = Tally()
        self.shop_address = ""

    @property
    def _targets(self) -> dict[str, str]:
        return {APPLICATION: self.shop_address}

    def make_repository(self, first: Behaviour) -> str:
        """Make the remote and the developer's clone; returns the first commit."""
        self.shared = Shared(self.folder)
        return self.shared.begin(first)

    def start_shop(self) -> None:
        """Start the shop: it answers once something is deployed."""
        self.shop_address = self.serve_shop("the shop", self.folder / "shop")

    def start_prometheus(self, program: str) -> None:
        """Start Prometheus, which scrapes the shop."""
        self.scrape(program, self._targets)

    def write_files(self) -> None:
        """Write the policy and the settings."""
        self.policies.mkdir()
        (self.policies / "checkout.yaml").write_text(POLICY)
        self.secret("secret", self.phone.secret)
        text = settings(self.folder, repository=self.shared.url, prometheus=self.prometheus.url, phone=self.phone.url)
        self.settings_file.write_text(text)

    def start_controller(self) -> None:
        """Start ``rollguard run``, and wait until it listens."""
        self.run_controller(self._targets)

    def start_load(self) -> None:
        """Let customers come."""
        self.send_customers(self.shop_address, self.tally)
