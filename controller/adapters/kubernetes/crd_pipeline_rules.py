"""What the API server checks of a pipeline and of an approval beyond types and bounds, as in ``crd_rules``.

Invariant: a rule refuses nothing that ``core.promotion.pipeline`` takes. Patterns, windows, paths and waves are checked by
the controller alone, which says so in the condition Ready.
"""

from collections.abc import Mapping
from typing import Any

from controller.adapters.kubernetes.crd_rules import by_name, lasting, rules

_TRIGGERS = ("image", "git", "pullRequest", "branch")
_LONGEST_WINDOW = {"maxLength": 512}

PIPELINE_RULES: Mapping[str, Mapping[str, Any]] = {
    "PipelineSpec.stages": by_name(),
    "Trigger": rules(
        (
            f"[{', '.join(f'has(self.{kind})' for kind in _TRIGGERS)}].filter(given, given).size() == 1",
            f"a trigger is exactly one of {', '.join(_TRIGGERS)}",
        )
    ),
    "Trigger.interval": lasting("5s", 5, "1d", 86400),
    "ImageTrigger": rules(
        (
            "self.togetherWith.size() == 0 || self.order != 'digest'",
            "order: digest follows one image, and togetherWith names more; give a release its own tag",
        )
    ),
    "ImageTrigger.repository": {"maxLength": 512},
    "ImageTrigger.togetherWith[]": {"maxLength": 512},
    "ImageTrigger.tagPattern": {"maxLength": 256},
    "GitTrigger.tagPattern": {"maxLength": 256},
    "Stage": rules(
        (
            "self.targets.size() == 0 || (!has(self.write) && !has(self.application))",
            "a stage has either targets, or an application and write; move them into a target",
        ),
        (
            "self.targets.size() > 0 || (has(self.write) && has(self.application))",
            "a stage needs an application, whose SLOPolicy judges it, and write; or targets that have them",
        ),
        (
            "!has(self.mergeWhen) || self.mode == 'PullRequest'",
            "mergeWhen goes with mode: PullRequest; a commit has nothing to merge",
        ),
        (
            "self.togetherWith.size() == 0 || has(self.application)",
            "togetherWith goes with application; name the first one as application",
        ),
    ),
    "Stage.soak": lasting("0s", 0, "30d", 2592000),
    "Stage.targets": by_name(),
    "Windows.allow[]": _LONGEST_WINDOW,
    "Windows.freeze[]": _LONGEST_WINDOW,
    "Update": rules(("has(self.path) != has(self.kustomizeImage)", "name either path or kustomizeImage")),
    "Update.value": {"default": None},
}
"""By model, and by model and field. A value that is left out stays so: for a whole image it must be written."""

PROMOTION_RULES: Mapping[str, Mapping[str, Any]] = {
    "PromotionSpec": rules(
        ("self.pipeline == oldSelf.pipeline", "the pipeline of an object does not change; make another object")
    ),
}

APPROVAL_RULES: Mapping[str, Mapping[str, Any]] = {
    "ApprovalSpec": rules(("self == oldSelf", "an approval does not change; make another one")),
}
