"""The two files that a user of Rollguard writes, as the demo writes them: the policy and the settings.

Invariant: both are what `rollguard run` reads, nothing more is passed to it.
"""

import json
from pathlib import Path

from controller.demo.manifest import APPLICATION, FOLDER, NAMESPACE

POLICY = f"""\
# What the service's owner promises, and what is to be done when a deployment breaks the promise.
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {{name: {APPLICATION}, namespace: {NAMESPACE}}}
spec:
  application: {{name: {APPLICATION}}}
  objectives:
    - name: availability
      target: "99"                         # per cent of requests without a 5xx
      indicator:
        ratio:
          errors: {{metric: 'http_requests_total{{service="{APPLICATION}",code=~"5.."}}'}}
          total:  {{metric: 'http_requests_total{{service="{APPLICATION}"}}'}}
    - name: latency
      target: "98"                         # per cent of requests within 300 ms
      indicator:
        latency:
          success: {{metric: 'http_request_duration_seconds_bucket{{service="{APPLICATION}",le="0.3"}}'}}
          total:   {{metric: 'http_request_duration_seconds_count{{service="{APPLICATION}"}}'}}
  analysis:                                # short for a demo; by default
    window: 20s                            # 30m
    interval: 1s                           # the scrape interval, 15s at least
    warmUp: 3s                             # 60s
    baseline: 1m                           # 1h
  onBreach: {{action: Rollback}}             # or PullRequest, or Alert
  alerts: [phone]
"""


def settings(folder: Path, *, repository: str, prometheus: str, phone: str) -> str:
    """The administrator's settings; ``phone`` is the URL that takes alerts."""
    return f"""\
# What the administrator sets.
metricsSources:
  default: {{prometheus: {{url: {scalar(prometheus)}}}}}
alertSinks:
  phone:
    webhook:
      url: {scalar(phone)}
      secretFile: {scalar(folder / "secret")}
applications:
  - name: {APPLICATION}
    namespace: {NAMESPACE}
    repository: {scalar(repository)}
    paths: [{FOLDER}]
    reconcile:                             # deployed from plain Git, by Rollguard itself
      command: [/bin/sh, {FOLDER}/deploy.sh]
      interval: 500ms
      environment: {{SHOP: {scalar(folder / "shop")}}}
store: {{sqlite: {scalar(folder / "state" / "state.db")}}}
server: {{listen: "127.0.0.1:0"}}
"""


def scalar(value: object) -> str:
    """A YAML scalar that holds exactly this text: JSON's strings are YAML's."""
    return json.dumps(str(value), ensure_ascii=False)
