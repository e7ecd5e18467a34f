"""Which policy guards which application."""

from typing import Any

from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import Conflict, Invalid, MatchingRules, check_matches, resolve_policies
from tests.core.policy_documents import RATIO, changed

SOURCE = GitSource("https://git.example.com/shop.git", "main", ("apps",))
TEMPLATED = {
    "errors": {"metric": 'x{service="{{application}}",code="500"}'},
    "total": {"metric": 'x{service="{{application}}"}'},
}
TEAM = {"selector": {"matchLabels": {"team": "shop"}}}


def _application(name: str, namespace: str = "shop", **labels: str) -> Application:
    return Application(ApplicationKey(namespace, name), SOURCE, tuple(sorted(labels.items())))


def _policy(application: Any, name: str = "p", namespace: str = "shop", ratio: Any = RATIO) -> SLOPolicy:
    document = changed(("spec", "application"), application)
    document["metadata"] = {"name": name, "namespace": namespace}
    document["spec"]["objectives"][0]["indicator"]["ratio"] = ratio
    return SLOPolicy.model_validate(document)


def test_policy_guards_the_application_that_it_names() -> None:
    """By name, in its own namespace; an application without a policy is not in the answer."""
    checkout, cart = _application("checkout"), _application("cart")
    policy = _policy({"name": "checkout"})
    assert resolve_policies([policy], [checkout, cart]) == {checkout.key: policy}


def test_policy_guards_all_that_its_selector_matches() -> None:
    """One policy with templates serves many applications."""
    shop = [_application("checkout", team="shop"), _application("cart", team="shop", tier="1")]
    policy = _policy(TEAM, ratio=TEMPLATED)
    found = resolve_policies([policy], [*shop, _application("mail", team="post"), _application("bare")])
    assert found == {each.key: policy for each in shop}


def test_two_policies_on_one_application_are_in_conflict() -> None:
    """Neither judges, and both are named; other applications are not touched."""
    checkout, cart = _application("checkout", team="shop"), _application("cart", team="shop")
    every, one = _policy(TEAM, "every", ratio=TEMPLATED), _policy({"name": "checkout"}, "one")
    found = resolve_policies([every, one], [checkout, cart])
    assert found[checkout.key] == Conflict(checkout.key, ("shop/every", "shop/one"))
    assert found[cart.key] is every
    conflict = found[checkout.key]
    assert isinstance(conflict, Conflict)
    assert "shop/every and shop/one" in conflict.message


def test_several_applications_need_series_of_their_own() -> None:
    """A selector over several applications with one set of series would judge all by the same."""
    shop = [_application("checkout", team="shop"), _application("cart", team="shop")]
    found = resolve_policies([_policy(TEAM)], shop)
    assert all(isinstance(each, Invalid) for each in found.values())
    (message,) = check_matches(_policy(TEAM), shop)
    assert message.path == "spec.objectives[0].indicator"
    assert "shop/checkout and shop/cart would be judged by the same series" in message.problem
    assert check_matches(_policy(TEAM), shop[:1]) == ()


def test_template_that_is_the_same_for_all_tells_nothing_apart() -> None:
    """Two applications of one namespace are not told apart by {{namespace}}."""
    ratio = {"errors": {"metric": 'x{n="{{namespace}}",code="5"}'}, "total": {"metric": 'x{n="{{namespace}}"}'}}
    shop = [_application("checkout", team="shop"), _application("cart", team="shop")]
    assert check_matches(_policy(TEAM, ratio=ratio), shop)


def test_name_that_cannot_stand_in_a_literal_makes_the_policy_invalid() -> None:
    """A cluster's name with a backtick cannot be written between backticks: said, and nothing raised."""
    ratio = {**RATIO, "total": {"metric": "x{c=`{{cluster}}`}"}}
    checkout = _application("checkout")
    found = resolve_policies([_policy({"name": "checkout"}, ratio=ratio)], [checkout], MatchingRules(cluster="a`b"))
    invalid = found[checkout.key]
    assert isinstance(invalid, Invalid)
    assert "backticks" in invalid.message


def test_policy_guards_nothing_outside_its_namespace() -> None:
    """Who may write policies in one namespace cannot roll back another's applications."""
    foreign = _application("checkout", "bank")
    assert resolve_policies([_policy({"name": "checkout", "namespace": "bank"})], [foreign]) == {}
    assert resolve_policies([_policy(TEAM)], [_application("checkout", "bank", team="shop")]) == {}


def test_settings_may_allow_other_namespaces() -> None:
    """The administrator, not the owner, says which other namespaces a policy's namespace may guard."""
    foreign = _application("checkout", "bank")
    policy = _policy({"name": "checkout", "namespace": "bank"})
    for allowed in (["bank"], ["*"]):
        assert resolve_policies([policy], [foreign], MatchingRules(outside={"shop": allowed})) == {
            foreign.key: policy
        }
    assert resolve_policies([policy], [foreign], MatchingRules(outside={"post": ["bank"], "shop": ["mail"]})) == {}


def test_where_it_deploys_counts_and_not_where_it_is_declared() -> None:
    """An application declared in another namespace (as Argo CD's are) is guarded from the one that it deploys into."""
    argo = _application("checkout", "argocd")
    rules = MatchingRules(default_namespace="argocd", destinations={argo.key: "shop"})
    policy = _policy({"name": "checkout"})
    assert resolve_policies([policy], [argo], rules) == {argo.key: policy}
    assert resolve_policies([_policy({"name": "checkout"}, namespace="argocd")], [argo], rules) == {}


def test_own_namespace_goes_before_the_default() -> None:
    """Of two applications of one name, the one in the policy's own namespace is meant."""
    own, argo = _application("checkout"), _application("checkout", "argocd")
    rules = MatchingRules(default_namespace="argocd", destinations={argo.key: "shop"})
    assert list(resolve_policies([_policy({"name": "checkout"})], [own, argo], rules)) == [own.key]
