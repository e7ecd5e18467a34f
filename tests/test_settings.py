"""The settings: what the administrator may write, what comes out, and what is said about mistakes."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.policy import Mode
from controller.settings import Settings, SettingsError, load_settings
from controller.settings.reference import reference

DOCUMENTED = """
metricsSources:
  default: {prometheus: {url: "http://127.0.0.1:9090", bearerTokenFile: null, headers: {}, caFile: null,
                         enforcedMatchers: {}}}
repositories:
  - url: "https://git.example.com/shop/manifests.git"
    credentials: {tokenFile: /secrets/token}
    forge: {type: gitea, url: "https://git.example.com", tokenFile: /secrets/forge}
    signing: {sshKeyFile: /secrets/signing}
registries:
  - host: registry.example.com:5000
    credentials: {username: robot$shop, tokenFile: /secrets/registry}
    caFile: /secrets/registry-ca
  - {host: localhost:5000, plainHttp: true}
alertSinks:
  on-call: {alertmanager: {url: "http://127.0.0.1:9093"}}
  deploy-log: {webhook: {url: "https://log.example.com/in?team=shop", secretFile: /secrets/hmac}}
  chat: {apprise: {urlFile: /secrets/apprise}}
applications:
  - name: checkout
    namespace: shop
    repository: "https://git.example.com/shop/manifests.git"
    branch: main
    paths: [apps/checkout]
    reconcile: {command: [./deploy.sh], interval: 5s}
  - name: cart
    namespace: shop
    repository: "https://git.example.com/shop/manifests.git"
    paths: [apps/cart]
    reported: {}
store: {sqlite: /var/lib/rollguard/state.db}
commit: {name: Rollguard, email: rollguard@example.com, subjectPrefix: "", signoff: false}
limits: {rollbacksPerHour: 10, verdictMaxAge: 2m, gitTimeout: 30s, maximumMode: Enforce}
server: {listen: "127.0.0.1:8080", deployedHook: {secretFile: /secrets/deployed}}
cluster: {name: in-cluster, argocdNamespace: argocd, defaultApplicationNamespace: argocd, watchNamespaces: [],
          destinationsOutsideOwnNamespace: {team-a: [shop, cart]}}
"""
APPLICATION = """
applications:
  - {name: checkout, namespace: shop, repository: "file:///srv/git/shop", paths: [apps], reported: {}}
"""


def load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "rollguard.yaml"
    path.write_text(textwrap.dedent(text))
    return load_settings(path, environ or {})


def problems(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, environ)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_the_documented_settings_are_read_whole(tmp_path: Path) -> None:
    """Every field of the documented example arrives."""
    settings = load(tmp_path, DOCUMENTED)
    prometheus = settings.metrics_sources["default"].prometheus
    assert prometheus is not None
    assert prometheus.url == "http://127.0.0.1:9090"
    repository = settings.repositories[0]
    assert repository.credentials is not None
    assert repository.forge is not None
    assert repository.signing is not None
    assert (repository.credentials.token_file, repository.forge.type) == (Path("/secrets/token"), "gitea")
    assert repository.signing.ssh_key_file == Path("/secrets/signing")
    assert {name for name, sink in settings.alert_sinks.items() if sink.webhook} == {"deploy-log"}
    checkout, cart = settings.applications
    assert checkout.reconcile is not None
    assert (checkout.reconcile.command, checkout.reconcile.interval) == (("./deploy.sh",), 5.0)
    assert cart.reported is not None
    assert settings.store.sqlite == Path("/var/lib/rollguard/state.db")
    limits = settings.limits
    assert (limits.rollbacks_per_hour, limits.verdict_max_age, limits.git_timeout) == (10, 120.0, 30.0)
    assert limits.maximum_mode is Mode.ENFORCE
    assert settings.server.address == ("127.0.0.1", 8080)
    assert settings.server.deployed_hook is not None
    assert settings.cluster.destinations_outside_own_namespace == {"team-a": ("shop", "cart")}


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Every part has a default, and the hook is closed."""
    settings = load(tmp_path, "# nothing yet\n")
    assert settings == Settings() == load_settings(None, {})
    assert settings.store.sqlite == Path("/var/lib/rollguard/state.db")
    assert settings.server.deployed_hook is None
    assert not settings.applications


def test_an_application_as_deciding_sees_it(tmp_path: Path) -> None:
    """Paths are normalised, sorted and each there once; the branch has a default."""
    settings = load(
        tmp_path,
        """
        applications:
          - {name: a, repository: "file:///srv/x", paths: [/b//c/, ./a/, b/c, .], labels: {team: x}, reported: {}}
        """,
    )
    source = GitSource("file:///srv/x", "main", ("", "a", "b/c"))
    expected = Application(ApplicationKey("default", "a"), source, (("team", "x"),))
    assert settings.applications[0].application == expected
    assert settings.application(ApplicationKey("default", "a")) is settings.applications[0]
    assert settings.application(ApplicationKey("default", "b")) is None


def test_relative_files_belong_to_the_settings_file(tmp_path: Path) -> None:
    """A file is taken from the folder of the settings file, wherever the command is run."""
    settings = load(tmp_path, "store: {sqlite: state/state.db}")
    assert settings.store.sqlite == tmp_path / "state/state.db"


def test_settings_do_not_change(tmp_path: Path) -> None:
    """A loaded value is frozen, at the root and below."""
    settings = load(tmp_path, DOCUMENTED)
    with pytest.raises(ValidationError, match="frozen"):
        settings.store = settings.store
    with pytest.raises(ValidationError, match="frozen"):
        settings.limits.git_timeout = 5.0


def test_a_repository_is_found_by_any_spelling(tmp_path: Path) -> None:
    """The URL of an application may lack .git; one that is not listed has no credentials."""
    settings = load(tmp_path, DOCUMENTED)
    assert settings.repository("https://git.example.com/shop/manifests/") is settings.repositories[0]
    other = settings.repository("https://git.example.com/other")
    assert (other.url, other.credentials) == ("https://git.example.com/other", None)


def test_a_registry_is_found_by_any_spelling(tmp_path: Path) -> None:
    """By the host that images name; one that is not listed is reached by TLS, and nobody logs in."""
    settings = load(tmp_path, DOCUMENTED)
    assert settings.registry("Registry.Example.com:5000") is settings.registries[0]
    assert settings.registries[0].credentials is not None
    assert settings.registries[0].credentials.username == "robot$shop"
    other = settings.registry("index.docker.io")
    assert (other.host, other.credentials, other.ca_file, other.plain_http) == ("docker.io", None, None, None)


# --- the environment


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("ROLLGUARD_LIMITS__GIT_TIMEOUT", "10s", "limits.git_timeout", 10.0),
        ("ROLLGUARD_LIMITS__GITTIMEOUT", "10s", "limits.git_timeout", 10.0),
        ("ROLLGUARD_LIMITS__ROLLBACKS_PER_HOUR", "3", "limits.rollbacks_per_hour", 3),
        ("rollguard_limits__maximum_mode", "Shadow", "limits.maximum_mode", Mode.SHADOW),
        ("ROLLGUARD_COMMIT__SIGNOFF", "true", "commit.signoff", True),
        ("ROLLGUARD_COMMIT", '{"signoff": true}', "commit.signoff", True),
        ("ROLLGUARD_STORE__SQLITE", "/elsewhere.db", "store.sqlite", Path("/elsewhere.db")),
        ("ROLLGUARD_CLUSTER__WATCH_NAMESPACES", '["a","b"]', "cluster.watch_namespaces", ("a", "b")),
        ("ROLLGUARD_APPLICATIONS", "[]", "applications", ()),
    ],
)
def test_the_environment_goes_before_the_file(
    tmp_path: Path, variable: str, value: str, path: str, expected: object
) -> None:
    """One variable sets one field, the rest stays as the file has it."""
    settings = load(tmp_path, DOCUMENTED, {variable: value})
    found: Any = settings
    for name in path.split("."):
        found = getattr(found, name)
    assert found == expected
    assert settings.server.listen == "127.0.0.1:8080"


def test_the_environment_reaches_into_named_entries(tmp_path: Path) -> None:
    """A name with a dash is found again in the file; a new name is made with dashes."""
    environ = {
        "ROLLGUARD_ALERT_SINKS__ON_CALL__ALERTMANAGER__URL": "http://am:9093",
        "ROLLGUARD_METRICS_SOURCES__LONG_TERM__PROMETHEUS__URL": "http://mimir/prometheus/",
    }
    settings = load(tmp_path, DOCUMENTED, environ)
    on_call, long_term = (
        settings.alert_sinks["on-call"].alertmanager,
        settings.metrics_sources["long-term"].prometheus,
    )
    assert on_call is not None
    assert long_term is not None
    assert (on_call.url, long_term.url) == ("http://am:9093", "http://mimir/prometheus")


def test_a_part_and_one_of_its_fields(tmp_path: Path) -> None:
    """The variable of a field goes before that of its whole part."""
    environ = {"ROLLGUARD_LIMITS": '{"gitTimeout":"1s","verdictMaxAge":"1m"}', "ROLLGUARD_LIMITS__GIT_TIMEOUT": "2s"}
    limits = load(tmp_path, "", environ).limits
    assert (limits.git_timeout, limits.verdict_max_age) == (2.0, 60.0)


def test_other_variables_are_not_ours(tmp_path: Path) -> None:
    """Kubernetes sets variables like these for a Service named rollguard; the command line has its own."""
    environ = {"ROLLGUARD_PORT": "tcp://10.0.0.1:80", "ROLLGUARD_SERVICE_HOST": "10.0.0.1", "ROLLGUARD_SETTINGS": "x"}
    assert load(tmp_path, "", {**environ, "LIMITS": "{}", "STORE__SQLITE": "x", "server": "{"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ROLLGUARD_LIMIT__GIT_TIMEOUT", "1s", "did you mean limits?"),
        ("ROLLGUARD_LIMITS__GIT_TIMEOT", "1s", "did you mean gitTimeout?"),
        ("ROLLGUARD_LIMITS__GIT_TIMEOUT", "soon-s3cret", "limits.gitTimeout: "),
        ("ROLLGUARD_LIMITS", "s3cret", "must be JSON"),
        ("ROLLGUARD_LIMITS", '{"x": "s3cret"}', "limits.x: there is no such field"),
        ("ROLLGUARD_APPLICATIONS__0__NAME", "s3cret", "set the whole of it as ROLLGUARD_APPLICATIONS"),
        ("ROLLGUARD_STORE__SQLITE__X", "s3cret", "set the whole of it as ROLLGUARD_STORE__SQLITE"),
        ("ROLLGUARD_METRICS_SOURCES__A__PROMETHEUS__URL", "http://u:s3cret@h", "use bearerTokenFile"),
        ("ROLLGUARD_METRICS_SOURCES__DEFAULT__PROMETHEUS__HEADERS__X_KEY", "s3cret\nX: y", "control character"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variable: str, value: str, said: str) -> None:
    """The variable, the field and the remedy are in the message; a value that may be secret is not."""
    text = problems(tmp_path, DOCUMENTED, {variable: value})
    assert text.startswith(f"environment variable {variable}: ")
    assert said in text
    assert "s3cret" not in text or "soon" in text


# --- mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "limits: {gitTimeot: 5s}",
            "rollguard.yaml:1: limits.gitTimeot: there is no such field; did you mean gitTim",
        ),
        ("\nalertsinks: {}", "rollguard.yaml:2: alertsinks: there is no such field; did you mean alertSinks?"),
        ("limits: {gitTimeout: 5}", "limits.gitTimeout: 5 has no unit; write for example 5s or 5m"),
        ("limits: {gitTimeout: 1h}", "limits.gitTimeout: must be between 1s and 10m; it is 1h"),
        ("limits: {rollbacksPerHour: 0}", "limits.rollbacksPerHour: should be greater than or equal to 1"),
        ("limits: {rollbacksPerHour: true}", "limits.rollbacksPerHour: true is not a number"),
        ("limits: {maximumMode: Off}", "limits.maximumMode: should be 'Enforce' or 'Shadow'"),
        ("limits: 5", "limits: must be a mapping with rollbacksPerHour, verdictMaxAge, gitTimeout, maximumMode"),
        ("limits:", "limits: must be a mapping"),
        ("store: {}", "store: none is given; give exactly one: sqlite or kubernetes"),
        ("store: {sqlite: a.db, kubernetes: {}}", "store: sqlite and kubernetes are given; give exactly one"),
        ("store: {sqlite: ~/state.db}", "depends on who runs Rollguard; write an absolute path"),
        ("metricsSources: {default: {}}", "metricsSources.default: none is given; give exactly one: prometheus"),
        ("metricsSources: {Default!: {prometheus: {url: 'http://x'}}}", "metricsSources.Default!: is not written as"),
        ("metricsSources: {a: {prometheus: {}}}", "metricsSources.a.prometheus.url: is missing; add it"),
        ("metricsSources: {a: {prometheus: {url: 'x:9090'}}}", 'has the scheme "x"; write http://… or https://…'),
        ("metricsSources: {a: {prometheus: {url: 'http://'}}}", "names no host"),
        ("metricsSources: {a: {prometheus: {url: 'http://-x'}}}", "names no host"),
        ("metricsSources: {a: {prometheus: {url: 'http://x:99999'}}}", "is no URL"),
        ("metricsSources: {a: {prometheus: {url: 'http://x?y=z'}}}", "has a query or fragment"),
        (
            "metricsSources: {a: {prometheus: {url: 'http://x', headers: {Authorization: y}}}}",
            "the header Authorization cannot be set here; use bearerTokenFile",
        ),
        ("metricsSources: {a: {prometheus: {url: 'http://x', headers: {'a b': y}}}}", "is not the name of a header"),
        ("alertSinks: {a: {webhook: {url: 'https://x'}}}", "alertSinks.a.webhook.secretFile: is missing"),
        ("alertSinks: {a: {slack: {}}}", "there is no such field; there are: alertmanager, webhook, apprise"),
        ("repositories: {}", "repositories: must be a list"),
        ("repositories: [{url: 'ext::sh -c id'}]", "repositories[0].url: is no repository URL"),
        ("repositories: [{url: '--upload-pack=x'}]", "repositories[0].url: is no repository URL"),
        ("repositories: [{url: 'ssh://-oProxyCommand=x/y'}]", "repositories[0].url: names no host"),
        ("repositories: [{url: 'git://x/y'}]", 'has the scheme "git"; write https://…, ssh://…'),
        ("repositories: [{url: /srv/git}]", "is a path; write file:///srv/git"),
        ("repositories: [{url: 'https://x'}]", "names no repository on its host"),
        ("repositories: [{url: 'https://x/y', credentials: {}}]", "none is given; give exactly one: tokenFile or"),
        (
            "repositories: [{url: 'https://x/y', credentials: {sshKeyFile: a, knownHostsFile: b}}]",
            "repositories[0]: these credentials do not fit the URL; use credentials.tokenFile",
        ),
        (
            "repositories: [{url: 'git@x:y', credentials: {tokenFile: a}}]",
            "these credentials do not fit the URL; use credentials.sshKeyFile and knownHostsFile",
        ),
        (
            "repositories: [{url: 'git@x:y', credentials: {sshKeyFile: a}}]",
            "sshKeyFile and knownHostsFile go together",
        ),
        ("repositories: [{url: 'https://x/y'}, {url: 'https://X/y.git'}]", "repositories[1] is given twice"),
        (
            "repositories: [{url: 'git@x:y', credentials: {sshKeyFile: a, knownHostsFile: b, caFile: c}}]",
            "caFile goes with tokenFile or githubApp",
        ),
        (
            "repositories: [{url: 'git@x:y', credentials: {githubApp: {appId: 1, installationId: 2, privateKeyFile: a}}}]",
            "these credentials do not fit the URL",
        ),
        ("registries: [{host: 'https://x'}]", "registries[0].host: is a URL; write the host alone, such as"),
        (
            "registries: [{host: 'x/shop'}]",
            'registries[0].host: "x/shop" is no host of a registry; write for example',
        ),
        ("registries: [{host: 'x:0'}]", "is no host of a registry"),
        ("registries: [{host: x, credentials: {username: a}}]", "registries[0].credentials.tokenFile: is missing"),
        (
            "registries: [{host: x, credentials: {username: 'a b', tokenFile: c}}]",
            "credentials.username: is not written",
        ),
        ("registries: [{host: x, plainHttp: true, caFile: a}]", "plainHttp is set, and caFile is for TLS; leave one"),
        ("registries: [{host: docker.io}, {host: Index.docker.io}]", "registries[1] is given twice; keep one entry"),
        (
            "cluster: {repositorySecrets: [shop]}",
            "cluster.repositorySecrets is given, and no cluster is spoken to; set store.kubernetes",
        ),
        (
            "{store: {kubernetes: {}}, cluster: {repositorySecrets: [Shop]}}",
            "cluster.repositorySecrets[0]: is not written as it must be",
        ),
        ("commit: {name: 'a <b>'}", "commit.name: "),
        ('commit: {subjectPrefix: "x\\ny"}', "control character"),
        ("commit: {email: nobody}", "commit.email: is not written as it must be: write an address such as"),
        ("server: {listen: 8080}", "server.listen: must be text; put it in quotes"),
        ("server: {listen: ':8080'}", 'is no address to listen on; write "127.0.0.1:8080"'),
        ("server: {listen: 'x:70000'}", "is no address to listen on"),
        ("cluster: {watchNamespaces: [A]}", "cluster.watchNamespaces[0]: is not written as it must be"),
        ('cluster: {argocdNamespace: "argocd\\n"}', "cluster.argocdNamespace: is not written as it must be"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    """File, line, field, what is wrong and what to do: one line."""
    found = problems(tmp_path, text)
    assert found.startswith("rollguard.yaml:")
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Checkout"}, "applications[0].name: is not written as it must be: use lower-case letters"),
        ({"branch": "-x"}, '"-x" is not the name of a branch; write the short name, such as main'),
        ({"branch": "refs/heads/main"}, "is not the name of a branch"),
        ({"branch": "a..b"}, "is not the name of a branch"),
        ({"branch": "HEAD"}, "is not the name of a branch"),
        ({"branch": "x.lock"}, "is not the name of a branch"),
        ({"paths": "[]"}, "applications[0].paths: "),
        ({"paths": "[a/../../b]"}, "applications[0].paths[0]: "),
        ({"paths": "[.git/hooks]"}, "leads into .git"),
        ({"paths": "[':(top)x']"}, "is no path in a repository"),
        ({"reported": "null"}, "applications[0]: neither is given; give exactly one: reconcile"),
        ({"reconcile": "{command: [x]}"}, "applications[0]: both are given; give exactly one"),
        ({"reported": "null", "reconcile": "{command: []}"}, "applications[0].reconcile.command: "),
        ({"reported": "null", "reconcile": "{command: ./x}"}, "reconcile.command: must be a list"),
        ({"reported": "null", "reconcile": "{command: ['']}"}, "command names no program"),
        ({"reported": "null", "reconcile": "{command: [x], runAs: '-u'}"}, "applications[0].reconcile.runAs: "),
        ({"repository": "'git@host:shop.git'"}, "list its URL under repositories, with credentials.sshKeyFile"),
        ({"repository": "'https://u:p@host/x'"}, "use credentials.tokenFile"),
    ],
)
def test_a_wrong_application_is_named(tmp_path: Path, change: dict[str, str], said: str) -> None:
    """Each field of an application is checked before anything runs."""
    fields = {"name": "a", "repository": "'https://host/x'", "paths": "[apps]", "reported": "{}", **change}
    written = ", ".join(f"{key}: {value}" for key, value in fields.items())
    assert said in problems(tmp_path, f"applications:\n  - {{{written}}}")


def test_an_application_by_ssh_may_have_its_key_in_argo_cds_secret(tmp_path: Path) -> None:
    """Whether one of the named Secrets is for it is known only when they are read."""
    text = """
        store: {kubernetes: {}}
        cluster: {repositorySecrets: [shop-write]}
        applications: [{name: a, repository: "git@host:shop.git", paths: [apps], reported: {}}]
    """
    assert load(tmp_path, text).cluster.repository_secrets == ("shop-write",)


def test_names_are_unique_in_a_namespace(tmp_path: Path) -> None:
    """The same name twice is refused; in two namespaces it is two applications."""
    entry = '  - {name: a, namespace: %s, repository: "file:///srv/x", paths: [a], reported: {}}\n'
    assert "two applications are called x/a; rename one" in problems(tmp_path, "applications:\n" + entry % "x" * 2)
    assert len(load(tmp_path, "applications:\n" + entry % "x" + entry % "y").applications) == 2


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """One run names all that is to be mended, each with its own line."""
    text = """
    limits:
      gitTimeout: 5
      rollbacksPerHour: 0
    server:
      listen: nowhere
    """
    lines = problems(tmp_path, text).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["rollguard.yaml:3", "limits.gitTimeout"],
        ["rollguard.yaml:4", "limits.rollbacksPerHour"],
        ["rollguard.yaml:6", "server.listen"],
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"limits: {", "is no YAML"),
        (b"limits:\n\t- x", "line 2: is no YAML"),
        (b"store: {sqlite: a}\nstore: {sqlite: s3cret}", "line 2: is no YAML: found duplicate key"),
        (b"- a\n- b", "is no mapping"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
        (b"x: \x00", "is no YAML"),
        (b"x: " + b"[" * 40 + b"]" * 40, "nested deeper"),
        (
            b"a: &a [x]\n" + b"".join(b"a%d: [" % n + b"*a, " * 60 + b"]\n" for n in range(500)),
            "values (aliases?)",
        ),
        (b"x: " + b"[" * 500_000, "nested deeper"),
        (b"#" * (1024 * 1024 + 1), "is larger than"),
    ],
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, content: bytes, said: str) -> None:
    """Any content ends in a sentence that names the file."""
    (tmp_path / "rollguard.yaml").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "rollguard.yaml", {})
    assert str(caught.value).startswith(f"{tmp_path}/rollguard.yaml: ")
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_names_the_way_to_name_one(tmp_path: Path) -> None:
    """The sentence says how to point to the settings file."""
    with pytest.raises(SettingsError, match=r"No such file or directory\); name the settings file by --settings"):
        load_settings(tmp_path / "nowhere.yaml", {})


# --- secrets and files


def test_no_secret_is_in_any_text_of_the_settings(tmp_path: Path) -> None:
    """Header values, variables of the command and a webhook's path are in no repr and no dump."""
    settings = load(
        tmp_path,
        """
        metricsSources: {default: {prometheus: {url: "http://x", headers: {X-Key: s3cret-1}}}}
        alertSinks: {a: {webhook: {url: "https://x/s3cret-2", secretFile: y}}}
        applications:
          - name: a
            repository: "file:///srv/x"
            paths: [a]
            reconcile: {command: [x], environment: {TOKEN: s3cret-3}}
        """,
    )
    assert "s3cret" not in repr(settings) + str(settings)
    prometheus, webhook = settings.metrics_sources["default"].prometheus, settings.alert_sinks["a"].webhook
    assert prometheus is not None
    assert webhook is not None
    assert prometheus.headers["X-Key"].get_secret_value() == "s3cret-1"
    assert webhook.url == "https://x/s3cret-2"


@pytest.mark.parametrize(
    "text",
    [
        "metricsSources: {a: {prometheus: {url: 'http://user:s3cret@host'}}}",
        "metricsSources: {a: {prometheus: {url: 'http://s3cret@host'}}}",
        "metricsSources: {a: {prometheus: {url: 'http://host/ s3cret'}}}",
        "metricsSources: {a: {prometheus: {url: 'http://x', headers: {X-Key: [s3cret]}}}}",
        "repositories: [{url: 'https://s3cret@host/x'}]",
        "repositories: [{url: 'ssh://git:s3cret@host/x'}]",
        "alertSinks: {a: {webhook: {url: 'ftp://x/s3cret', secretFile: y}}}",
        "registries: [{host: 'robot:s3cret@registry.example.com'}]",
        "registries: [{host: 'https://robot:s3cret@registry.example.com'}]",
    ],
)
def test_no_secret_is_in_a_message(tmp_path: Path, text: str) -> None:
    """A URL or header that is refused is not repeated."""
    assert "s3cret" not in problems(tmp_path, text)


def test_files_are_checked_only_when_asked(tmp_path: Path) -> None:
    """Loading opens no file; the check names each that is missing, and not the store, which is made."""
    settings = load(tmp_path, DOCUMENTED)
    with pytest.raises(SettingsError) as caught:
        settings.check_files()
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "repositories[0].credentials.tokenFile",
        "repositories[0].forge.tokenFile",
        "repositories[0].signing.sshKeyFile",
        "registries[0].credentials.tokenFile",
        "registries[0].caFile",
        "alertSinks.deploy-log.webhook.secretFile",
        "alertSinks.chat.apprise.urlFile",
        "server.deployedHook.secretFile",
    ]
    assert "/secrets/token: there is no such file; correct the path" in caught.value.problems[0]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A named file must be one; what is there passes."""
    (tmp_path / "secret").write_text("x")
    hook = "server: {deployedHook: {secretFile: %s}}"
    load(tmp_path, hook % "secret").check_files()
    with pytest.raises(SettingsError, match="is no file"):
        load(tmp_path, hook % ".").check_files()


@given(st.text(max_size=200))
def test_any_url_is_taken_or_refused(text: str) -> None:
    """No text makes the checks of addresses fail otherwise, and none with a control character passes."""
    document = {"default": {"prometheus": {"url": text}}}
    try:
        settings = Settings(
            metrics_sources=document,  # type: ignore[arg-type]
            repositories=({"url": text},),  # type: ignore[arg-type]
            server={"listen": text},  # type: ignore[arg-type]
        )
    except ValidationError:
        return
    assert settings.server.listen.isprintable()


def test_the_reference_is_up_to_date() -> None:
    """The document is what the models say: `python -m controller.settings.reference` writes it again."""
    document = Path(__file__).parents[1] / "docs" / "settings-reference.md"
    assert document.read_text(encoding="utf-8") == reference()


def test_the_reference_explains_every_field() -> None:
    """No field is without a meaning, and every part of the settings has its section."""
    text = reference()
    assert "|  |" not in text
    for part in ("metricsSources.NAME.prometheus", "applications[].reconcile", "server.deployedHook", "limits"):
        assert f"## `{part}`" in text


FORGE = """
repositories:
  - url: "https://git.example.com/shop/manifests.git"
    forge: {{type: {type}, url: "https://git.example.com", {more}}}
"""


def test_a_forge_is_reached_by_a_token_or_by_an_app(tmp_path: Path) -> None:
    """Exactly one of the two; an App is GitHub's; the webhooks' secret and the CA are files like all others."""
    app = "githubApp: {appId: 1, installationId: 2, privateKeyFile: key.pem}"
    by_app = load(tmp_path, FORGE.format(type="github", more=f"{app}, caFile: ca.pem, webhookSecretFile: hook"))
    forge = by_app.repositories[0].forge
    assert forge is not None
    assert (forge.token_file, forge.ca_file, forge.webhook_secret_file) == (
        None,
        tmp_path / "ca.pem",
        tmp_path / "hook",
    )
    assert forge.github_app is not None
    assert "give exactly one: tokenFile or githubApp" in problems(
        tmp_path, FORGE.format(type="github", more="caFile: ca.pem")
    )
    assert "both are given" in problems(tmp_path, FORGE.format(type="github", more=f"tokenFile: t, {app}"))
    assert "githubApp does not go with type gitea" in problems(tmp_path, FORGE.format(type="gitea", more=app))


def test_github_alone_makes_the_commits(tmp_path: Path) -> None:
    """By a token or an App, where that is wanted; Gitea and GitLab sign none."""
    wanted = "tokenFile: t, commits: Forge"
    by_forge = load(tmp_path, FORGE.format(type="github", more=wanted)).repositories[0].forge
    assert by_forge is not None
    assert by_forge.commits == "Forge"
    assert "commits: Forge does not go with type gitea" in problems(tmp_path, FORGE.format(type="gitea", more=wanted))
