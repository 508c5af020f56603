"""The Helm chart: Helm itself renders and lints it, and what it renders is valid by Kubernetes' own schemas.

Helm comes as a library in a Python package, and Kubernetes' schemas come in another; neither is in the locks, for their
size. No cluster is asked: that its objects come to work together is not tested here.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from notifier.cli.processes import GRACE
from notifier.cli.supervise import STOP_TIMEOUT
from notifier.runtime.settings import Settings, load_settings
from tests.fetched import fetched

pytestmark = pytest.mark.timeout(600)  # what is needed is fetched once

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "notifier"
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "{}")
HELM = ("helm-python-sdk==0.2.2",)
SCHEMAS = ("kubernetes-validate==1.37.0",)
VERSIONS = ["1.27", "1.37"]  # the oldest Kubernetes that the chart says it takes, and the newest that schemas are of
OTHERS = {"keda.sh", "monitoring.coreos.com"}
DRAIN = 5  # seconds before SIGTERM in which proxies learn that a pod of web ends

EVERYTHING = {
    "image": {"pullSecrets": [{"name": "registry"}]},
    "secretFiles": "notifier-files",
    "web": {"maxReplicas": 5},
    "worker": {"maxReplicas": 9},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"a/b": "c"}},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "only", "operator": "Exists"}],
    "podAnnotations": {"team": "csms"},
}
CASES = [{}, EVERYTHING]

RENDER = """
import json, sys
from helm_python import Chart, lint
chart, values = sys.argv[1], json.loads(sys.argv[2])
rendered = Chart.load(chart).render(values, name="notifier", namespace="prod", revision=1, is_install=True)
print(json.dumps({"rendered": rendered, "lint": lint(chart, values, strict=True)}))
"""

VALIDATE = """
import json, sys
import kubernetes_validate
for document in json.load(sys.stdin):
    for version in sys.argv[1:]:
        kubernetes_validate.validate(document, version, strict=True)
"""


def run(tool: Path, script: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script with a fetched package, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], env={**os.environ, "PYTHONPATH": str(tool)}, input=text,
        capture_output=True, text=True,
    )  # fmt: skip


def helm(values: dict[str, Any]) -> dict[str, Any]:
    """What Helm makes of the chart with these values: `rendered`, a text for each template, and `lint`."""
    done = run(fetched(HELM, *PIP), RENDER, str(CHART), json.dumps(values))
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module", params=CASES, ids=["as it comes", "with everything"])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What Helm makes of the chart, as it comes, and with all that may be switched on."""
    return helm(request.param)


@pytest.fixture
def documents(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects that a cluster would be given."""
    texts = [text for path, text in told["rendered"].items() if path.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods of deployments and jobs, by their component."""
    templates = [each["spec"]["template"] for each in documents if each["kind"] in {"Deployment", "Job"}]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"] for each in templates}


def test_helm_finds_no_fault_with_the_chart(told: dict[str, Any]) -> None:
    # Given the chart
    # When Helm lints it, warnings being faults
    messages = [each["error"] for each in told["lint"]["messages"] if each["severity"] > 1]

    # Then there is none
    assert messages == []
    assert told["lint"]["errors"] == []


def test_kubernetes_knows_all_of_what_is_rendered(documents: list[dict[str, Any]]) -> None:
    # Given what the chart renders, but for what KEDA and Prometheus' operator define
    ours = [each for each in documents if each["apiVersion"].partition("/")[0] not in OTHERS]
    assert {"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "Service"} <= {each["kind"] for each in ours}

    # When it is held against Kubernetes' strict schemas, in which a member too many is a fault
    done = run(fetched(SCHEMAS, *PIP), VALIDATE, *VERSIONS, text=json.dumps(ours))

    # Then it is valid
    assert done.returncode == 0, done.stderr


def test_pods_keep_to_the_restricted_standard_and_write_only_to_memory(documents: list[dict[str, Any]]) -> None:
    # Given the pods of all processes, and of the migration
    found = pods(documents)
    assert found.keys() == {"web", "worker", "clock", "migration"}

    # When what they may do is read
    # Then it is what Kubernetes' Pod Security Standard "restricted" allows, and less
    for pod in found.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert {name for volume in pod["volumes"] for name in volume} <= {"name", "emptyDir", "secret"}
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["readOnlyRootFilesystem"] is True
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"].keys() == {"requests", "limits"}


def test_pods_have_the_time_that_processes_take_to_stop(documents: list[dict[str, Any]]) -> None:
    # Given how long processes take at the most to finish what they have begun
    # When pods are read
    found = pods(documents)

    # Then they have longer, of which the web process loses what proxies need
    assert found["worker"]["terminationGracePeriodSeconds"] > STOP_TIMEOUT
    assert found["web"]["terminationGracePeriodSeconds"] > GRACE + DRAIN
    assert found["web"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(DRAIN)]


def test_every_process_is_probed_on_a_port_that_it_has(documents: list[dict[str, Any]]) -> None:
    # Given the pods of the processes
    found = {name: pod["containers"][0] for name, pod in pods(documents).items() if name != "migration"}

    # When their probes are read
    # Then each asks a port that the container has, for what a process answers there
    for container in found.values():
        ports = {each["name"] for each in container["ports"]}
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            assert container[probe]["httpGet"]["path"] == path
            assert container[probe]["httpGet"]["port"] in ports


def test_selectors_find_pods_of_one_process(documents: list[dict[str, Any]]) -> None:
    # Given the labels of each process's pods
    templates = [each["spec"]["template"] for each in documents if each["kind"] in {"Deployment", "Job"}]
    labels = [each["metadata"]["labels"] for each in templates]

    # When selectors are read, wherever they stand
    selectors = [
        each["spec"]["selector"]["matchLabels"]
        for each in documents
        if each["kind"] in {"Deployment", "PodDisruptionBudget"}
    ]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in documents if each["kind"] == "NetworkPolicy"]
    selectors += [each["spec"]["selector"] for each in documents if each["kind"] == "Service"]

    # Then each finds pods of one process, and what scales has a deployment
    for selector in selectors:
        assert len([each for each in labels if selector.items() <= each.items()]) == 1
    deployments = {each["metadata"]["name"] for each in documents if each["kind"] == "Deployment"}
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in documents if "scaleTargetRef" in each.get("spec", {})}
    assert scaled <= deployments


def test_the_settings_that_the_chart_brings_are_settings_of_ours(
    documents: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the environment that the chart gives to the web process
    (container,) = pods(documents)["web"]["containers"]
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each["value"])

    # When settings are loaded from it, which refuses what it doesn't know
    # Then they are good
    assert isinstance(load_settings(), Settings)


def test_the_chart_is_of_this_version() -> None:
    # Given the project's version
    project = tomllib.loads((CHART.parents[2] / "pyproject.toml").read_text())["project"]

    # When the chart's are read
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    # Then both are the same: the one of the image that it runs, and its own
    assert {chart["version"], chart["appVersion"]} == {project["version"]}


@pytest.mark.parametrize(
    "values",
    [
        {"settings": {"PUBLIC_URL": "https://n.example.com"}},
        {"worker": {"replicas": 0}},
        {"imagee": {}},
        {"networkPolicy": {"ports": ["https"]}},
    ],
)
def test_values_that_are_not_known_are_refused(values: dict[str, Any]) -> None:
    # Given values with a mistake
    # When Helm lints the chart with them
    done = run(fetched(HELM, *PIP), RENDER, str(CHART), json.dumps(values))

    # Then they are refused: by the render, or as an error of the lint
    assert done.returncode != 0 or json.loads(done.stdout)["lint"]["errors"]
