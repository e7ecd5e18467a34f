"""What is likely wrong with a policy, said before it guards anything."""

from controller.adapters.policies.lint.findings import Finding, Rule, Severity
from controller.adapters.policies.lint.live import Target, lint_live
from controller.adapters.policies.lint.offline import Known, lint_offline

__all__ = ["Finding", "Known", "Rule", "Severity", "Target", "lint_live", "lint_offline"]
