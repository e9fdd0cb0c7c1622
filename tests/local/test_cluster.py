"""What `make cluster` starts is what docker-compose.yaml says, but for what one loopback makes different."""

import json
import re
from pathlib import Path

import pytest
import yaml

from moat.errors import FatalError
from moat.local import databases
from moat.local.cluster import REPLICAS, Cluster
from moat.local.cluster_env import COMPOSE, NODES
from moat.local.compose import Service, services
from moat.settings import Settings

WHOLE = yaml.safe_load(COMPOSE.read_text("utf-8"))
NOT_HERE = {"embedder-gpu", "moat"}  # a card; the command line, which `home/env` stands for
ADDRESSES = {  # whose values hold the address or the file of one loopback
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__SECRETS__BACKEND_KWARGS",
    "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS",
    "MOAT_AIRFLOW_URL",
    "MOAT_DOOR_HOST",
    "MOAT_EMBEDDER_HOST",
    "MOAT_TELL_LINK",
    "MOAT_WEAVIATE_GRPC_PORT",
    "MOAT_WEAVIATE_HOST",
    "MOAT_WEAVIATE_PORT",
    "PERSISTENCE_DATA_PATH",
}
SIZE = {"MOAT_GPU_SLOTS", "MOAT_REPLICAS", "MOAT_SHARDS"}  # what `.env` may say
OF_A_NODE = re.compile(r"CLUSTER_(HOSTNAME|GOSSIP_BIND_PORT|DATA_BIND_PORT|JOIN)|RAFT_\w+|GRPC_PORT")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("cluster"), Path("/programs"), lambda line: None)


@pytest.fixture(scope="module")
def compose(cluster: Cluster) -> dict[str, Service]:
    """The services as Docker would start them, with the same secrets."""
    return services(COMPOSE, cluster.given)


@pytest.mark.parametrize("name", sorted(WHOLE["services"]))
def test_a_service_has_the_environment_and_the_files_of_the_compose_file(
    cluster: Cluster, compose: dict[str, Service], name: str
) -> None:
    here, there = cluster.instance(name, name), compose[name]
    assert here.environment.keys() >= there.environment.keys()
    different = {n for n, value in there.environment.items() if here.environment[n] != value}
    files = {n for n in different if n.endswith(("_FILE", "_CMD"))}
    root = f"{cluster.home}/roles/{name}"
    for n in files:
        assert here.environment[n].replace(root, "") == there.environment[n]
    assert different - files <= ADDRESSES | SIZE
    assert [path.removeprefix(root) for path in here.files] == list(there.files)
    secret = {f"{root}{path}": value for path, value in there.files.items() if path.startswith("/run/secrets/")}
    assert {path: here.files[path] for path in secret} == secret


@pytest.mark.parametrize("name", sorted(set(WHOLE["services"]) - NOT_HERE))
def test_nothing_here_leads_to_a_container_or_to_another_roles_files(cluster: Cluster, name: str) -> None:
    here = cluster.instance(name, name)
    said = json.dumps([dict(here.environment), here.command, dict(here.files)])
    hosts = "|".join(map(re.escape, WHOLE["services"].keys() - {"moat"}))  # which is a login too
    assert not re.search(rf"((?<!s3:)//|@)({hosts})[:/]", said)
    assert set(re.findall(rf"{re.escape(str(cluster.home))}/roles/([\w-]+)/", said)) <= {name}
    assert not re.search(r"(?<![\w.-])/(run|data|docker-entrypoint-initdb\.d|var/lib/weaviate)/", said)


def test_the_workers_take_the_queues_of_the_compose_file(cluster: Cluster, compose: dict[str, Service]) -> None:
    for of, name in (("worker", "worker-1"), ("worker", "worker-2"), ("worker-gpu", "worker-gpu")):
        worker = cluster.worker(of, name)
        queue = compose[of].command.index("--queues")
        assert worker.command[: queue + 2] == compose[of].command[: queue + 2]
        assert f"{name}@%h" in worker.command


def test_three_nodes_of_weaviate_differ_only_in_who_they_are(cluster: Cluster, compose: dict[str, Service]) -> None:
    nodes = [cluster.node(n) for n in range(1, NODES + 1)]
    there = compose["weaviate"].environment
    for node in nodes:
        different = {n for n in there if node.environment[n] != there[n]} | (node.environment.keys() - there.keys())
        own = {n for n in different if n.isupper() and OF_A_NODE.fullmatch(n)}
        assert own >= {"CLUSTER_HOSTNAME", "CLUSTER_JOIN", "RAFT_JOIN", "GRPC_PORT"}
        assert not {n for n in different - own if n.startswith(("AUTH", "CLUSTER", "AUTOSCHEMA", "DISABLE"))}
        assert node.environment["RAFT_BOOTSTRAP_EXPECT"] == str(NODES)
    ports = [node.environment[n] for node in nodes for n in sorted(node.environment) if OF_A_NODE.fullmatch(n) and node.environment[n].isdigit() and n != "RAFT_BOOTSTRAP_EXPECT"]  # fmt: skip
    assert len(set(ports)) == len(ports) == 5 * NODES
    assert len({node.environment["RAFT_JOIN"] for node in nodes}) == 1


def test_the_command_line_gets_the_settings_of_the_service_moat(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster._write_environment()
    for name in ("MOAT_LEDGER_URL", "MOAT_TENANT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOAT_HOME", str(cluster.home))
    settings = Settings.load()
    assert settings.ledger_url.startswith("postgresql+psycopg2://moat:")
    assert settings.ledger_url.endswith(f"@127.0.0.1:{cluster.port('POSTGRES')}/moat")
    assert (settings.replicas, settings.weaviate_port) == (REPLICAS, cluster.port("WEAVIATE"))
    assert settings.weaviate_writer_key.get_secret_value() == cluster.given["WEAVIATE_WRITER_KEY"]
    assert (cluster.home / "cluster.env").stat().st_mode & 0o077 == 0


def test_ports_and_secrets_stay_from_one_start_to_the_next(cluster: Cluster) -> None:
    assert Cluster(cluster.home, Path("/programs"), lambda line: None).given == cluster.given


def test_a_missing_server_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FatalError, match="Redis is not installed: apt-get install redis-server"):
        databases.redis_program()
    monkeypatch.setattr(databases, "WHEEL", "a_package_that_is_not_there")
    monkeypatch.setattr(databases, "DEBIAN", Path("/nowhere"))
    with pytest.raises(FatalError, match="PostgreSQL is not installed: `make programs` brings it"):
        databases.postgres_programs()


def test_a_state_folder_that_a_shell_would_not_read_as_one_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="set MOAT_HOME to a path of letters, digits"):
        Cluster(tmp_path / "mo at", Path("/programs"), lambda line: None)


def test_a_variable_that_must_be_set_is_asked_for_by_name(cluster: Cluster) -> None:
    with pytest.raises(FatalError, match=r"needs REDIS_PASSWORD: see compose\.env\.example"):
        services(COMPOSE, {**cluster.given, "REDIS_PASSWORD": ""})
