"""What a version's images were built from, and who wrote that: by which nobody approves what he wrote himself."""

from collections.abc import Callable

import pytest

from controller.core.application import ApplicationKey, Revision
from controller.core.promotion.facts import Facts, Found
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage, Place, Progress
from controller.core.promotion.version import Version
from controller.runtime.promotion_sources import Authors
from controller.runtime.promotion_triggers import Triggers
from tests.core.promotion.world import GROUPED, pipeline
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import StoredCommit
from tests.fakes.registry import InMemoryRegistry
from tests.fakes.repository import InMemoryRemote, InMemoryRepository
from tests.servers.images import image

CHECKOUT, CART = "https://git.example.com/shop/checkout.git", "https://git.example.com/shop/cart.git"


class Sources:
    """Two services, each with a repository of its own, and a registry."""

    def __init__(self) -> None:
        self.remotes = {CHECKOUT: InMemoryRemote(), CART: InMemoryRemote()}
        self.forges = {url: InMemoryForge() for url in self.remotes}
        self.registry = InMemoryRegistry()
        self.progress = Progress(ApplicationKey("shop", "shop"))
        self.pipeline = pipeline(GROUPED)

    def write(self, url: str, author: str) -> Revision:
        """Somebody's commit."""
        revision = Revision(self.remotes[url].commit({"main.py": author}, author=f"{author} <{author}@example.com>"))
        state = self.forges[url].state
        who = f"{author}@example.com"
        state.users[who] = author
        state.commits[revision] = StoredCommit(revision, (), (), "", who, who, 0.0)
        return revision

    def release(self, tag: str, *, cart_labels: bool = True) -> Version:
        """Both images are pushed, and the trigger is asked."""
        for path, url in (("shop/checkout", CHECKOUT), ("shop/cart", CART)):
            labels = {
                "version": f"{path} {tag}",
                "org.opencontainers.image.source": url,
                "org.opencontainers.image.revision": self.remotes[url].head(),
            }
            told = labels if cart_labels or url == CHECKOUT else {"version": f"{path} {tag}"}
            self.registry.push(path, image(labels=told), tag=tag)
        found = self.ask()
        assert found.versions, found.trouble
        known = found.versions[:1] + self.progress.known
        self.progress = Progress(self.progress.pipeline, known=known, pins=found.pins)
        return found.versions[0]

    def ask(self) -> Found:
        """What the trigger says."""
        return Triggers(lambda _host: self.registry, {}, lambda _url: None).ask(self.pipeline, self.progress)

    def authors(self, version: Version, previous: str) -> tuple[frozenset[str], str]:
        """Who wrote a version that takes another's place, and why that is not known."""
        repositories = {url: InMemoryRepository(remote) for url, remote in self.remotes.items()}
        passage = Passage(Place("dev"), version, 0.0, previous=previous)
        move = Move(self.pipeline, self.progress, Facts(), 0.0)
        found, unknown = Authors(repositories, self.forges.get).of(move, passage)
        assert found.complete or unknown
        return found.logins, unknown


@pytest.fixture
def sources() -> Sources:
    sources = Sources()
    for url in sources.remotes:
        sources.write(url, "zoe")
    return sources


def test_authors_of_every_image_are_authors(sources: Sources) -> None:
    """Who wrote the cart's part of a release did write it, though the checkout's image is the first."""
    sources.release("v1.0.0")
    sources.write(CHECKOUT, "ann")
    sources.write(CART, "bob")
    version = sources.release("v1.1.0")
    assert [each.source for each in version.built_from] == [CHECKOUT, CART]
    assert sources.authors(version, "1.0.0") == (frozenset({"ann", "bob"}), "")


def _unlabelled(sources: Sources) -> Version:
    return sources.release("v1.1.0", cart_labels=False)


def _no_forge(sources: Sources) -> Version:
    del sources.forges[CART]
    return sources.release("v1.1.0")


def _gone(sources: Sources) -> Version:
    version = sources.release("v1.1.0")
    sources.remotes[CART].commits.clear()
    return version


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_unlabelled, "the image registry.example.com/shop/cart has no labels"),
        (_no_forge, f"the settings name no forge for {CART}"),
        (_gone, ""),
    ],
)
def test_where_one_of_them_is_not_known_none_is(
    sources: Sources, spoil: Callable[[Sources], Version], said: str
) -> None:
    """Nobody approves by a gap in what is known: the sentence says which image it is about."""
    sources.release("v1.0.0")
    sources.write(CART, "bob")
    logins, unknown = sources.authors(spoil(sources), "1.0.0")
    assert not logins
    assert unknown.startswith(said)
    assert unknown


def test_what_is_there_now_must_be_known(sources: Sources) -> None:
    """From a commit that nobody knows, nobody can say who wrote what came since."""
    version = sources.release("v1.1.0")
    assert sources.authors(version, "0.9.0") == (frozenset(), "the commit of 0.9.0 is not known")


def test_a_release_without_a_common_tag_is_told(sources: Sources) -> None:
    """Half a release is none, and the sentence names all the images."""
    sources.registry.push("shop/checkout", image(labels={"version": "one"}), tag="v1.0.0")
    sources.registry.push("shop/cart", image(labels={"version": "two"}), tag="v2.0.0")
    found = sources.ask()
    assert not found.versions
    assert found.trouble == (
        "no tag that matches ^v(?P<version>.+)$ is there in each of registry.example.com/shop/checkout, "
        "registry.example.com/shop/cart"
    )


def test_what_is_known_is_not_asked_again(sources: Sources) -> None:
    """An image's labels never change: each image is asked once."""
    sources.release("v1.0.0")
    before = [each for each in sources.registry.asked if each[0] == "image"]
    sources.ask()
    assert [each for each in sources.registry.asked if each[0] == "image"] == before
    assert len(before) == 2
