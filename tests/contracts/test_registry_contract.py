"""One suite for every implementation of the port to image registries: a real registry behind three logins, and the fake."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from controller.adapters.registry import OciRegistry, RegistryAccess
from controller.core.promotion.image import ImageRepository
from controller.demo.images import Image
from controller.ports.registry import ImageUnknown, Registry
from tests.fakes.manual_clock import ManualClock
from tests.fakes.registry import InMemoryRegistry
from tests.servers.images import CHART_CONFIG, image, index
from tests.servers.registry import PASSWORD, USER, DockerRegistry, Login

REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"
CREATED = 1_800_000_000.0
NUMBERS = count(1)


@dataclass
class Case:
    """A repository of its own on a registry, and everybody who pushes to it."""

    registry: Registry
    server: DockerRegistry | InMemoryRegistry
    repository: ImageRepository

    def push(self, pushed: Image, tag: str = "") -> str:
        return self.server.push(self.repository.path, pushed, tag)

    def elsewhere(self, path: str) -> ImageRepository:
        return ImageRepository(self.repository.registry, path)


@pytest.fixture(scope="module", params=[*Login, "memory"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Registry, DockerRegistry | InMemoryRegistry]]:
    if request.param == "memory":
        memory = InMemoryRegistry()
        yield memory, memory
        return
    folder = tmp_path_factory.mktemp("registry")
    (folder / "password").write_text(f"{PASSWORD}\n")
    with DockerRegistry(folder, request.param) as server:
        access = RegistryAccess.to(server.host, username=USER, token_file=folder / "password")
        registry = OciRegistry(access, ManualClock())
        yield registry, server
        registry.close()


@pytest.fixture
def case(served: tuple[Registry, DockerRegistry | InMemoryRegistry]) -> Case:
    registry, server = served
    return Case(registry, server, ImageRepository(server.host, f"shop/checkout-{next(NUMBERS)}"))


def test_all_tags_are_told(case: Case) -> None:
    """Each tag once; what was pushed by its digest alone is none."""
    case.push(image(), "v1.0.0")
    case.push(image(labels={"a": "b"}), "v1.1.0")
    case.push(image(), "latest")
    case.push(image(labels={"no": "tag"}))
    assert sorted(case.registry.tags(case.repository).tags) == ["latest", "v1.0.0", "v1.1.0"]


def test_a_list_that_is_known_is_told_again(case: Case) -> None:
    """With what was told before, the answer is the same; after a push it is not."""
    case.push(image(), "v1")
    before = case.registry.tags(case.repository)
    assert case.registry.tags(case.repository, before).tags == before.tags
    case.push(image(), "v2")
    assert sorted(case.registry.tags(case.repository, before).tags) == ["v1", "v2"]


def test_what_is_not_there_is_unknown(case: Case) -> None:
    """A repository, a tag and a digest that do not exist are ``ImageUnknown``, by every operation."""
    case.push(image(), "v1")
    nowhere = case.elsewhere("shop/nowhere")
    with pytest.raises(ImageUnknown):
        case.registry.tags(nowhere)
    with pytest.raises(ImageUnknown):
        case.registry.digest(nowhere, "v1")
    with pytest.raises(ImageUnknown):
        case.registry.digest(case.repository, "v2")
    for reference in ("v2", "sha256:" + "0" * 64):
        with pytest.raises(ImageUnknown):
            case.registry.image(case.repository, reference)


@pytest.mark.parametrize("name", ["", "../../v2", "a b", "v1?x", "v1/x", "-v1", "v" * 129, "sha256:abc", "v1\n"])
def test_what_can_be_no_name_is_unknown(case: Case, name: str) -> None:
    """It is never sent to a registry, where it could name something else."""
    case.push(image(), "v1")
    with pytest.raises(ImageUnknown):
        case.registry.digest(case.repository, name)
    with pytest.raises(ImageUnknown):
        case.registry.image(case.repository, name)


def test_a_registry_of_another_name_is_not_asked(case: Case) -> None:
    """A repository elsewhere is unknown here."""
    with pytest.raises(ImageUnknown):
        case.registry.tags(ImageRepository("elsewhere.example.com", "shop/checkout"))


def test_a_tag_is_told_by_its_digest_and_follows_when_it_moves(case: Case) -> None:
    """The digest is that of what was pushed last; the image before stays readable by its own."""
    first = case.push(image(labels={"n": "1"}), "v1")
    assert case.registry.digest(case.repository, "v1") == first
    second = case.push(image(labels={"n": "2"}), "v1")
    assert case.registry.digest(case.repository, "v1") == second != first
    assert case.registry.image(case.repository, first).label("n") == "1"


@pytest.mark.parametrize("docker", [True, False], ids=["docker", "oci"])
def test_an_image_says_what_it_was_built_from(case: Case, docker: bool) -> None:
    """Labels and time of creation, by tag and by digest alike."""
    labels = {REVISION: "c0ffee", SOURCE: "https://git.example.com/shop"}
    digest = case.push(image(labels=labels, docker=docker), "v1")
    facts = case.registry.image(case.repository, "v1")
    assert (facts.digest, facts.created, facts.revision) == (digest, CREATED, "c0ffee")
    assert facts.source == "https://git.example.com/shop"
    assert case.registry.image(case.repository, digest) == facts


@pytest.mark.parametrize("docker", [True, False], ids=["docker", "oci"])
def test_an_image_of_several_platforms_is_one_image(case: Case, docker: bool) -> None:
    """Its digest is the index's; linux/amd64 speaks for it."""
    built = {
        "linux/arm64": image(labels={REVISION: "arm"}, docker=docker, architecture="arm64"),
        "linux/amd64": image(labels={REVISION: "amd"}, docker=docker),
    }
    digest = case.push(index(built, docker=docker), "v1")
    assert case.registry.digest(case.repository, "v1") == digest
    facts = case.registry.image(case.repository, "v1")
    assert (facts.digest, facts.revision, facts.created) == (digest, "amd", CREATED)


def test_an_attestation_does_not_speak_for_an_image(case: Case) -> None:
    """What an index lists of an unknown platform is no image."""
    built = {"unknown/unknown": image(labels={"x": "1"}), "linux/arm64": image(labels={"x": "2"}, architecture="arm")}
    case.push(index(built), "v1")
    assert case.registry.image(case.repository, "v1").label("x") == "2"


def test_annotations_speak_where_labels_do_not(case: Case) -> None:
    """A label goes before an annotation of its name; the time of creation may be an annotation."""
    annotations = {
        REVISION: "annotated",
        SOURCE: "annotated",
        "org.opencontainers.image.created": "2027-01-15T08:00:00Z",
    }
    case.push(image(labels={REVISION: "labelled"}, created=None, annotations=annotations), "v1")
    facts = case.registry.image(case.repository, "v1")
    assert (facts.revision, facts.source, facts.created) == ("labelled", "annotated", CREATED)


def test_a_chart_has_no_labels_of_an_image(case: Case) -> None:
    """What is no container image is told by its annotations."""
    digest = case.push(image(config_type=CHART_CONFIG, labels={"a": "b"}, annotations={"c": "d"}), "v1")
    facts = case.registry.image(case.repository, "v1")
    assert (facts.digest, facts.created, facts.labels) == (digest, None, (("c", "d"),))


@pytest.mark.parametrize(
    ("created", "told"),
    [
        (None, None),
        ("yesterday", None),
        ("2027-01-15T08:00:00", None),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        ("2027-01-15T09:00:00.5+01:00", CREATED + 0.5),
        ("2027-01-15T08:00:00.123456789Z", CREATED + 0.123456),
    ],
)
def test_a_time_is_read_as_it_is_written(case: Case, created: str | None, told: float | None) -> None:
    """A missing, odd or zoneless time is not guessed; a real one is told, however old and exact."""
    case.push(image(created=created), "v1")
    assert case.registry.image(case.repository, "v1").created == (told if told is None else pytest.approx(told))


def test_what_was_deleted_is_unknown(case: Case) -> None:
    """The tags of a deleted image go with it; a repository without any has an empty list."""
    digest = case.push(image(), "v1")
    case.server.delete(case.repository.path, digest)
    assert case.registry.tags(case.repository).tags == ()
    with pytest.raises(ImageUnknown):
        case.registry.digest(case.repository, "v1")
    with pytest.raises(ImageUnknown):
        case.registry.image(case.repository, digest)
