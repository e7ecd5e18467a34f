"""``make demo-cluster``: its story, played beside the tests' own Argo CD and forge (Docker does not run here)."""

import os
import subprocess
from pathlib import Path

import yaml

from tests.cluster.conftest import MakeSite
from tests.cluster.site import IMAGE, policy
from tests.cluster.stack.gitea import OWNER
from tests.cluster.stack.parts import part

DEMO = Path(__file__).parents[2] / "charts" / "demo"


def test_the_story_is_told_to_its_end(make_site: MakeSite, tmp_path: Path) -> None:
    """From the first version over a bad one to the recovery, by the commands that people see."""
    shop = make_site()
    application = shop.application("checkout")
    policies = tmp_path / "policy.yaml"
    policies.write_text(yaml.safe_dump(policy(shop.namespace, application, shop.service("checkout"))))
    shop.start()
    environment = {
        **os.environ,
        "PATH": f"{part('kubectl') / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(shop.cluster.kubeconfig),
        "GIT_URL": shop.repository.url_with(OWNER, shop.gitea.token),
        "REPOSITORY": shop.repository.url,
        "APPLICATION": application,
        "NAMESPACE": shop.namespace,
        "SHOP_IMAGE": f"{IMAGE}:TAG",
        "BAD_VERSION": "bad",
        "POLICY": str(policies),
        "HISTORY_SECONDS": "1",
        "PATIENCE": "90",
    }
    told = subprocess.run(
        [DEMO / "demo.sh", "play"], env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr + shop.log()[-3000:]
    assert "Roll back" in told.stdout
    assert "Recovered" in told.stdout
