"""The files that users of Rollguard write, as the demo writes them: a policy, a pipeline and the settings.

Invariant: they are all that `rollguard run` reads, nothing more is passed to it.
"""

from dataclasses import dataclass
from pathlib import Path

from controller.demo.files import scalar
from controller.demo.manifest import NAMESPACE
from controller.demo.pipeline.stages import DEV, IMAGE, NAME, PRODUCTION, STAGES, STAGING, Stage

POLICY = f"""\
# What the service promises, in every environment: one policy guards all that have its label.
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  application: {{selector: {{matchLabels: {{service: {NAME}}}}}}}
  objectives:
    - name: availability
      target: "97"                         # per cent of requests without a 5xx
      indicator:
        ratio:
          errors: {{metric: 'http_requests_total{{service="{{{{application}}}}",code=~"5.."}}'}}
          total:  {{metric: 'http_requests_total{{service="{{{{application}}}}"}}'}}
  analysis:                                # short for a demo; by default
    window: 15s                            # 30m
    interval: 1s                           # the scrape interval, 15s at least
    warmUp: 2s                             # 60s
    baseline: 1m                           # 1h
  onBreach: {{action: Rollback}}
  alerts: [phone]
"""


def pipeline(registry: str) -> str:
    """The pipeline; ``registry`` is host and port."""
    return f"""\
# How versions of the service move: each step is a commit in Git, judged before the next.
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  trigger:
    image:
      repository: {scalar(f"{registry}/{IMAGE}")}
      tagPattern: '^v(?P<version>\\d+\\.\\d+\\.\\d+)$'
  stages:
    - name: {DEV.name}                            # a new tag is committed here at once
      application: {{name: {DEV.application}}}
      write: {{updates: [{{file: {DEV.values}, path: image.tag}}]}}
    - name: {STAGING.name}                        # a pull request, merged once its checks have passed
      application: {{name: {STAGING.application}}}
      write: {{updates: [{{file: {STAGING.values}, path: image.tag}}]}}
      mode: PullRequest
      mergeWhen: {{checks: Passed}}
    - name: {PRODUCTION.name}                     # and somebody who did not write it approves
      application: {{name: {PRODUCTION.application}}}
      write: {{updates: [{{file: {PRODUCTION.values}, path: image.tag}}]}}
      mode: PullRequest
      mergeWhen: {{checks: Passed}}
      approvals: {{minimum: 1, notAuthor: true}}
  alerts: [phone]
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """Where everything is."""

    folder: Path
    listen: str
    """Host and port of the controller."""
    registry: str
    gitea: str
    manifests: str
    """URL of the repository that is deployed."""
    source: str
    """URL of the repository that images are built from."""
    prometheus: str
    phone: str


def settings(at: Reached) -> str:
    """The administrator's settings."""
    return f"""\
# What the administrator sets.
metricsSources:
  default: {{prometheus: {{url: {scalar(at.prometheus)}}}}}
alertSinks:
  phone: {{webhook: {{url: {scalar(at.phone)}, secretFile: {scalar(at.folder / "secret")}}}}}
registries:
  - host: {scalar(at.registry)}
repositories:
{_repository(at, at.manifests, "what is deployed")}\
{_repository(at, at.source, "what images are built from: tells who wrote a version")}\
applications:                              # deployed from plain Git, by Rollguard itself
{"".join(_application(at, each) for each in STAGES)}\
store: {{sqlite: {scalar(at.folder / "state" / "state.db")}}}
server:
  listen: {scalar(at.listen)}
  registryHook: {{tokenFile: {scalar(at.folder / "registry-token")}}}
"""


def _repository(at: Reached, url: str, what: str) -> str:
    token = scalar(at.folder / "rollguard-token")
    return f"""\
  - url: {scalar(url)}  # {what}
    credentials: {{tokenFile: {token}, username: rollguard}}
    forge:
      type: gitea
      url: {scalar(at.gitea)}
      tokenFile: {token}
      webhookSecretFile: {scalar(at.folder / "webhook-secret")}
"""


def _application(at: Reached, stage: Stage) -> str:
    return f"""\
  - name: {stage.application}
    namespace: {NAMESPACE}
    labels: {{service: {NAME}}}
    repository: {scalar(at.manifests)}
    paths: [{stage.folder}]
    reconcile:
      command: [/bin/sh, {stage.folder}/deploy.sh]
      interval: 1s
      environment: {{SHOP: {scalar(at.folder / stage.application)}}}
"""
