"""All that the demo of a pipeline consists of: Gitea, a registry, three shops, Prometheus, the controller, customers."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from controller.demo.ground import Ground
from controller.demo.images import named_by, version_of
from controller.demo.interruption import Interruption
from controller.demo.load import Tally
from controller.demo.manifest import ManifestError
from controller.demo.pipeline.files import POLICY, Reached, pipeline, settings
from controller.demo.pipeline.gitea import Gitea, GiteaProgram, start_gitea
from controller.demo.pipeline.people import MANIFESTS, SOURCE, People
from controller.demo.pipeline.registry import Registry, start_registry
from controller.demo.pipeline.shipping import Shipped, Shipping, variables_of
from controller.demo.pipeline.stages import STAGES, Stage, values_of
from controller.demo.processes import DemoError
from controller.demo.repository import BRANCH, Clone, deploy_script, git
from controller.demo.serving import free_port


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run."""

    prometheus: str
    gitea: GiteaProgram
    registry: str


@dataclass(slots=True)
class Environment:
    """A stage with its shop."""

    stage: Stage
    address: str
    """The shop's host and port."""
    tally: Tally = field(default_factory=Tally)


class PipelineSite(Ground):
    """Three environments, and how versions get there."""

    gitea: Gitea
    people: People
    registry: Registry
    manifests: Clone
    shipping: Shipping

    def __init__(self, folder: Path, interruption: Interruption, programs: Programs) -> None:
        super().__init__(folder, interruption)
        self._programs = programs
        self._listen = f"127.0.0.1:{free_port()}"
        self._hook_token, self._hook_secret = secrets.token_hex(16), secrets.token_hex(16)
        self._urls: dict[str, str] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self.environments: list[Environment] = []

    def start_registry(self) -> None:
        """Start the registry: it tells Rollguard's hook what is pushed."""
        child, self.registry = start_registry(
            self._programs.registry,
            self.folder / "registry",
            f"http://{self._listen}/hooks/registry",
            self._hook_token,
            self.interruption.wait,
        )
        self._children.append(child)

    def start_gitea(self) -> None:
        """Start Gitea, with people and two empty repositories."""
        self.gitea = start_gitea(self._programs.gitea, self.folder / "gitea", self.interruption.wait)
        self._children.append(self.gitea.child)
        self.people = People(self.gitea)
        for name in (MANIFESTS, SOURCE):
            self._urls[name] = self.gitea.add_repository(name, self.people.all)

    def make_repositories(self, first: str) -> None:
        """Dana clones both; the first version's image is built, and every stage runs it."""
        clones = {}
        for name in (MANIFESTS, SOURCE):
            dana, folder = self.people.dana, self.folder / name
            clones[name] = Clone(self.gitea.clone_url(name, dana), folder, dana.name, dana.email)
        self.manifests = clones[MANIFESTS]
        self.shipping = Shipping(clones[SOURCE].folder, self._urls[SOURCE], self.registry.address)
        self.shipping.save(self.folder)
        self.ship(first, f"Begin with {first}")
        files = {each.values: values_of(each, self.registry.address, f"v{first}") for each in STAGES}
        files |= {f"{each.folder}/deploy.sh": deploy_script(each.values) for each in STAGES}
        self.manifests.commit(files, f"Every stage runs {first}")

    def ship(self, version: str, message: str, prices_per_second: float | None = None) -> Shipped:
        """Dana commits a version, and its image is pushed."""
        return self.shipping.ship(version, message, variables_of(prices_per_second))

    def start_shops(self) -> None:
        """Start a shop for each stage: it answers once something is deployed."""
        for each in STAGES:
            address = self.serve_shop(f"the shop of {each.name}", self.folder / each.application, "--images")
            self.environments.append(Environment(each, address))

    def start_prometheus(self) -> None:
        """Start Prometheus, which scrapes the shops."""
        self.scrape(self._programs.prometheus, self._targets)

    @property
    def _targets(self) -> dict[str, str]:
        return {each.stage.application: each.address for each in self.environments}

    def write_files(self) -> None:
        """Write the policy, the pipeline and the settings."""
        self.policies.mkdir()
        (self.policies / "slo.yaml").write_text(POLICY)
        (self.policies / "pipeline.yaml").write_text(pipeline(self.registry.address))
        self.secret("secret", self.phone.secret)
        self.secret("registry-token", self._hook_token)
        self.secret("webhook-secret", self._hook_secret)
        self.secret("rollguard-token", self.people.rollguard.token)
        at = Reached(
            folder=self.folder,
            listen=self._listen,
            registry=self.registry.address,
            gitea=self.gitea.url,
            manifests=self._urls[MANIFESTS],
            source=self._urls[SOURCE],
            prometheus=self.prometheus.url,
            phone=self.phone.url,
        )
        self.settings_file.write_text(settings(at))

    def start_controller(self) -> None:
        """Start ``rollguard run``, wait until it listens, and have Gitea tell it what happens."""
        self.run_controller(self._targets)
        self.gitea.add_hook(MANIFESTS, f"http://{self.controller_address}/hooks/forge", self._hook_secret)

    def start_load(self) -> None:
        """Let customers come, everywhere."""
        for each in self.environments:
            self.send_customers(each.address, each.tally, each.stage.rate)

    def version(self, stage: Stage, revision: str) -> str:
        """The version that a stage runs by a commit; a question mark where it cannot be told."""
        key = (stage.name, revision)
        if key not in self._versions:
            try:
                self._versions[key] = version_of(named_by(self._values(stage, revision))[2])
            except (DemoError, ManifestError):
                return "?"
        return self._versions[key]

    def _values(self, stage: Stage, revision: str) -> str:
        wanted = ["cat-file", "blob", f"{revision}:{stage.values}"]
        try:
            return git(wanted, self.manifests.folder)
        except DemoError:
            self.manifests.fetch()
            return git(wanted, self.manifests.folder)

    def history(self) -> list[str]:
        """The branch as it is in Gitea, newest first: each commit in a line."""
        self.manifests.fetch()
        arguments = ["log", "--first-parent", "--format=%h %an: %s", f"origin/{BRANCH}"]
        return git(arguments, self.manifests.folder).splitlines()
