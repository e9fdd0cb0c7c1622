"""The images, built and asked what they hold. It needs a Docker daemon, the package index and some ten minutes."""

import json
import shutil
import subprocess

import pytest

from moat.settings import PROJECT

DOCKER = shutil.which("docker")
HAS_DAEMON = DOCKER is not None and subprocess.run([DOCKER, "version"], capture_output=True).returncode == 0
pytestmark = [
    pytest.mark.skipif(not HAS_DAEMON, reason="no Docker daemon answers: the images are not built here"),
    pytest.mark.timeout(3_600),
]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout.strip()


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def image(request: pytest.FixtureRequest) -> str:
    docker("build", "--target", request.param, "--tag", f"moat-test:{request.param}", ".")
    return f"moat-test:{request.param}"


def inside(image: str, *command: str) -> str:
    """What a command says in the image as it runs in a cluster: no network, no right, and nothing written but /tmp."""
    walls = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only")
    return docker("run", "--rm", *walls, "--tmpfs", "/tmp", "--tmpfs", "/var/lib/moat:uid=50000", image, *command)


def test_it_runs_as_nobody_special_and_can_write_nothing_of_its_own(image: str) -> None:
    assert inside(image, "id", "--user") == "50000"
    assert inside(image, "find", "/opt/moat", "/opt/venv", "-writable", "-not", "-type", "l") == ""


def test_it_has_moat_with_its_bytecode_and_airflow(image: str) -> None:
    assert "embedder" in inside(image, "moat", "--help")
    assert inside(image, "python", "-c", "import airflow; print(airflow.__version__)").startswith("3.")
    assert inside(image, "sh", "-c", "ls /opt/moat/include/moat/__pycache__ | head -1").endswith(".pyc")


def test_it_lists_its_packages_and_only_one_has_a_model_to_run(image: str) -> None:
    listed = {one["name"] for one in json.loads(inside(image, "cat", "/opt/moat/sbom.cdx.json"))["components"]}
    assert {"moat", "apache-airflow", "weaviate-client"} <= listed
    assert ("torch" in listed) == image.endswith("cuda")


def test_neither_what_installed_it_nor_a_secret_is_left(image: str) -> None:
    assert inside(image, "sh", "-c", "command -v uv gcc git || true") == ""
    assert "SECRET" not in docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
