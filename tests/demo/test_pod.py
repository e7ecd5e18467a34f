"""The demo's shop as a pod."""

import pytest

from controller.demo.manifest import ManifestError
from controller.demo.pod import Pod, behaviour_of


def test_what_is_counted_follows_from_the_environment() -> None:
    """All requests fail where the manifest says so, and none where it does not."""
    for share, code in (("1", "500"), ("0", "200")):
        pod = Pod(behaviour_of({"ERROR_SHARE": share, "SLOW_SHARE": share}), 50.0)
        for _ in range(20):
            pod.serve()
        assert pod.registry.get_sample_value("http_requests_total", {"code": code}) == 20
        slow = pod.registry.get_sample_value("http_request_duration_seconds_bucket", {"le": "0.3"})
        assert slow == (0 if share == "1" else 20)


@pytest.mark.parametrize("text", ["many", "2", "-0.1", "nan"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    """A typing error in the manifest is said, and the pod does not start."""
    with pytest.raises(ManifestError, match="ERROR_SHARE"):
        behaviour_of({"ERROR_SHARE": text})
