"""deploy/kubernetes: its objects are valid, hold no secret, and say what docker-compose.yaml says of the same roles.

The charts themselves are not here. Where CHARTS names a folder with both (`helm pull --untar`), and helm is there, they
are rendered, too; elsewhere the parts of the values that become pods are judged as pods.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from moat.settings import Settings
from tests.test_compose import OPEN, REACHED_BY, SECRET, SERVICES, WHOLE, defaults, environment, files

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.33", "1.37"
AIRFLOW: dict[str, Any] = yaml.safe_load((FOLDER / "airflow.yaml").read_text("utf-8"))
WEAVIATE: dict[str, Any] = yaml.safe_load((FOLDER / "weaviate.yaml").read_text("utf-8"))
MANIFESTS = [*sorted(FOLDER.glob("base/*.yaml")), *sorted(FOLDER.glob("gpu/*.yaml"))]
CRD = {"ScaledObject", "TriggerAuthentication"}  # KEDA's, whose schema no package carries
# Services of the compose file, by the name that a cluster has for them.
HOSTS = {"http://api-server:8080": "http://airflow-api-server:8080", "http://localhost:8080": "https://airflow.example.com"}  # fmt: skip
ROLES = {"scheduler": "scheduler", "api-server": "apiServer", "dag-processor": "dagProcessor", "triggerer": "triggerer"}
JOB = "migrateDatabaseJob"
ONE_NODE = {  # of the compose file's Weaviate, and set by the chart for each of its nodes
    "PERSISTENCE_DATA_PATH", "DEFAULT_VECTORIZER_MODULE", "ENABLE_MODULES", "GRPC_PORT", "CLUSTER_HOSTNAME",
    "CLUSTER_IN_LOCALHOST", "CLUSTER_BIND_ADDR", "CLUSTER_ADVERTISE_ADDR", "CLUSTER_BASIC_AUTH_USERNAME", "RAFT_JOIN",
}  # fmt: skip


@cache
def schemas(version: str) -> tuple[Path, Registry[Any]]:
    """The schemas of a version that refuse what they do not know, and what they refer to."""
    folder = Path(str(kubernetes_validate.__file__)).parent / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text("utf-8"))
    return folder, Registry().with_resource(definitions["$id"], Resource.from_contents(definitions))


def validate(one: dict[str, Any], version: str) -> None:
    """Raises ValidationError for an object that this version of Kubernetes would not take as it is."""
    folder, registry = schemas(version)
    group, _, api = one["apiVersion"].rpartition("/")
    name = "-".join(part for part in (one["kind"].lower(), group.partition(".")[0], api) if part)
    schema = json.loads((folder / f"{name}.json").read_text("utf-8"))
    Draft202012Validator(schema, registry=registry).validate(one)


@cache
def parsed() -> list[dict[str, Any]]:
    found = [one for file in MANIFESTS for one in yaml.safe_load_all(file.read_text("utf-8"))]
    return [one for one in found if one["kind"] != "Kustomization"]


def objects() -> list[dict[str, Any]]:
    """Our manifests, a copy: a test may change what it gets."""
    return deepcopy(parsed())


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


def worker(queue: str) -> dict[str, Any]:
    """Values of the workers of a queue, with what a set takes over from all."""
    common = {name: value for name, value in AIRFLOW["workers"]["celery"].items() if name != "sets"}
    own: dict[str, Any] = next((s for s in AIRFLOW["workers"]["celery"]["sets"] if s["queue"] == queue), {})
    return {**common, **own}


def pod_of(values: dict[str, Any], env: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod as Airflow's chart makes it of these values, as far as they go."""
    container = {
        "name": "main",
        "image": f"{AIRFLOW['images']['airflow']['repository']}:{AIRFLOW['images']['airflow']['tag']}",
        "args": values.get("args"),
        "env": [*AIRFLOW["env"], *env],
        "volumeMounts": [*AIRFLOW["volumeMounts"], *values["extraVolumeMounts"]],
        "resources": values["resources"],
        "securityContext": AIRFLOW["securityContexts"]["containers"],
    }
    for probe in ("livenessProbe", "startupProbe"):
        if "command" in values.get(probe, {}):
            container[probe] = {"exec": {"command": values[probe]["command"]}}
    spec = {
        "containers": [{name: value for name, value in container.items() if value is not None}],
        "volumes": [*AIRFLOW["volumes"], *values["extraVolumes"]],
        "securityContext": AIRFLOW["securityContexts"]["pod"],
        "automountServiceAccountToken": values["serviceAccount"]["automountServiceAccountToken"],
        "initContainers": values.get("extraInitContainers", []),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "role"}, "spec": spec}


@cache
def pods() -> dict[str, dict[str, Any]]:
    """The spec of a pod of each role: of our manifests as they are, of the charts as their values make them."""
    found = {name: one["spec"]["template"] for name, one in of("Deployment").items()}
    for role, key in ROLES.items():
        found[role] = pod_of(AIRFLOW[key], AIRFLOW[key]["env"])
    for role, queue in (("worker", "default"), ("worker-gpu", "gpu")):
        found[role] = pod_of(worker(queue), worker(queue)["env"])
    found["airflow-init"] = pod_of(AIRFLOW[JOB], AIRFLOW[JOB]["env"])
    return {name: pod["spec"] for name, pod in found.items()}


def env_of(spec: dict[str, Any]) -> dict[str, str]:
    """Variables of a pod's container; those from a ConfigMap of ours as the base has it."""
    base = yaml.safe_load((FOLDER / "base" / "kustomization.yaml").read_text("utf-8"))
    maps = {one["name"]: dict(x.split("=") for x in one.get("literals", [])) for one in base["configMapGenerator"]}
    found = dict[str, str]()
    for one in spec["containers"][0]["env"]:
        ref = one.get("valueFrom", {}).get("configMapKeyRef")
        found[one["name"]] = maps[ref["name"]][ref["key"]] if ref else one["value"]
    return found


def mounted(spec: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """By path, the Secret or ConfigMap and its key that a pod's container sees under /run."""
    places = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    found = dict[str, tuple[str, str]]()
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source.get("secret", {}).get("items", ()):
                found[f"{places[volume['name']]}/{item['path']}"] = source["secret"]["name"], item["key"]
            if "configMap" in source:
                found[f"{places[volume['name']]}/grants.sql"] = source["configMap"]["name"], "grants.sql"
    return found


def said(service: str) -> dict[str, str]:
    """The environment of a service of the compose file with its defaults, in the names of a cluster."""
    found = dict[str, str]()
    for name, value in environment(service).items():
        text = defaults(str(value)).strip()
        for ours, theirs in HOSTS.items():
            text = text.replace(ours, theirs)
        found[name] = text
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid(version: str) -> None:
    judged = [one for one in objects() if one["kind"] not in CRD]
    assert len(judged) > 20
    for one in judged:
        validate(one, version)


@pytest.mark.parametrize("role", [*ROLES, "worker", "worker-gpu", "airflow-init"])
def test_what_the_values_put_into_a_pod_is_valid(role: str) -> None:
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "role"}, "spec": pods()[role]}, OLDEST)


def test_a_wrong_object_is_found_wrong() -> None:
    one = of("Deployment")["door"]
    one["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(ValidationError, match="readinesProbe"):
        validate(one, NEWEST)


@pytest.mark.parametrize("role", sorted(pods()))
def test_no_pod_can_be_more_than_it_needs(role: str) -> None:
    spec = pods()[role]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    writable = {m["mountPath"] for m in spec["containers"][0]["volumeMounts"] if not m.get("readOnly")}
    assert writable <= {"/tmp", "/opt/airflow", "/var/lib/moat"}


@pytest.mark.parametrize("name", sorted(of("Deployment")))
def test_our_own_pods_say_how_they_are_and_hear_of_no_service_by_their_environment(name: str) -> None:
    spec = of("Deployment")[name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert spec["enableServiceLinks"] is False
    disrupted = [one["spec"]["selector"]["matchLabels"] for one in of("PodDisruptionBudget").values()]
    labels = of("Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    assert labels in disrupted or name == "embedder-gpu", "with one pod, a budget would keep its node for ever"


def test_no_service_is_named_so_that_its_variables_look_like_settings() -> None:
    names = {*of("Service"), WEAVIATE["service"].get("name", "weaviate"), "airflow-api-server", "airflow-redis"}
    assert not [name for name in names if name.upper().replace("-", "_").startswith(("MOAT", "AIRFLOW__"))]


# --- the same as docker-compose.yaml

EXTRA = {"MOAT_WEAVIATE_GRPC_HOST": "weaviate-grpc", "MOAT_SHARDS": "2", "MOAT_REPLICAS": "3"}


@pytest.mark.parametrize("role", [*ROLES, "worker", "worker-gpu", "embedder", "embedder-gpu"])
def test_a_role_has_the_environment_that_it_has_in_the_compose_file(role: str) -> None:
    more = EXTRA if role.startswith("worker") else {}
    assert env_of(pods()[role]) == {**said(role), **more}


@pytest.mark.parametrize("role", [*ROLES, "worker", "worker-gpu", "embedder", "embedder-gpu"])
def test_a_role_has_the_files_that_it_has_in_the_compose_file(role: str) -> None:
    assert set(mounted(pods()[role])) == files(role)


@pytest.mark.parametrize("role", sorted(pods()))
def test_a_file_holds_what_its_name_says(role: str) -> None:
    other = {"connections.json": "connections"}
    if role == "airflow-init":  # as the owner, here alone
        other["ledger_url"] = "ledger_owner_url"
    for path, (name, key) in mounted(pods()[role]).items():
        file = Path(path).name
        assert key == other.get(file, file), f"{path} is {key} of {name}"


def test_every_file_and_variable_of_a_secret_is_one_that_is_made(tmp_path: Path) -> None:
    made = {(s["metadata"]["name"], key) for s in made_secrets(tmp_path) for key in s["stringData"]}
    used = {pair for spec in pods().values() for pair in mounted(spec).values() if pair[0] != "moat-grants"}
    used |= {(name, key) for key, name in WEAVIATE["envSecrets"].items()}
    used |= {(AIRFLOW["redis"]["passwordSecretName"], "password")}
    for one in of("TriggerAuthentication").values():
        used |= {(ref["name"], ref["key"]) for ref in one["spec"]["secretTargetRef"]}
    assert used == made, "one that nothing mounts is one too many"
    chart = {AIRFLOW["data"][name] for name in ("metadataSecretName", "resultBackendSecretName", "brokerUrlSecretName")}
    chart |= {AIRFLOW[name] for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")}
    assert chart <= {name for name, _ in made}
    assert set(AIRFLOW["enableBuiltInSecretEnvVars"].values()) == {False}


def made_secrets(folder: Path) -> list[dict[str, Any]]:
    """What make_secrets.py prints for an .env as the compose file's, with a value of its own for each variable."""
    example = (PROJECT / "compose.env.example").read_text("utf-8") + "\nDOOR_DB_PASSWORD=\nSCALER_DB_PASSWORD=\n"
    env = folder / ".env"
    env.write_text(re.sub(r"^([A-Z0-9_]+)=$", lambda m: f"{m[1]}=it-is_{m[1]}", example, flags=re.MULTILINE), "utf-8")
    done = make_secrets("--env", str(env))
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def make_secrets(*arguments: str) -> subprocess.CompletedProcess[str]:
    own = ("--ledger-db", "ledger.example:6432", "--airflow-db", "airflow.example", "--s3", "https://s3.example")
    command = [sys.executable, str(FOLDER / "make_secrets.py"), *own, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_secrets_have_the_addresses_of_the_cluster(tmp_path: Path) -> None:
    made = {s["metadata"]["name"]: s["stringData"] for s in made_secrets(tmp_path)}
    addresses = made["moat-addresses"]
    assert addresses["ledger_url"] == "postgresql+psycopg2://moat:it-is_LEDGER_PASSWORD@ledger.example:6432/moat"
    assert addresses["airflow_db_url"].endswith("@airflow.example/airflow")
    assert addresses["celery_broker_url"] == "redis://:it-is_REDIS_PASSWORD@airflow-redis:6379/0"
    assert '"endpoint_url": "https://s3.example"' in addresses["connections"]
    assert not {host for host in ("@postgres", "@airflow-db", "@redis", "//s3:") if host in str(made)}
    assert made["moat-door"]["ledger_url"].startswith("postgresql+psycopg2://moat_door:it-is_DOOR_DB_PASSWORD@ledger")
    scaler = "postgresql://airflow_scaler:it-is_SCALER_DB_PASSWORD@airflow.example/airflow"
    assert made["moat-scaler"]["connection"] == scaler
    keys = made["moat-weaviate"]["AUTHENTICATION_APIKEY_ALLOWED_KEYS"].split(",")
    users = WEAVIATE["env"]["AUTHENTICATION_APIKEY_USERS"].split(",")
    assert [k.removeprefix("it-is_WEAVIATE_").removesuffix("_KEY").lower() for k in keys] == [
        user.removeprefix("moat-") for user in users
    ]


def test_a_secret_that_is_missing_is_named_and_nothing_is_printed(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("REDIS_PASSWORD=a/b\n", "utf-8")
    done = make_secrets("--env", str(tmp_path / "empty"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "REDIS_PASSWORD" in done.stderr
    assert "DOOR_DB_PASSWORD" in done.stderr
    assert "a/b" not in done.stderr
    assert "compose.env.example" in make_secrets("--env", str(tmp_path / "none")).stderr


def test_no_secret_stands_in_a_file_or_in_an_environment() -> None:
    for file in FOLDER.rglob("*"):
        if file.suffix in (".yaml", ".sql"):
            text = file.read_text("utf-8")
            assert not re.search(r"^kind: Secret$|stringData:|://[^/\s:]+:[^/\s$]+@", text, re.MULTILINE), file.name
            assert not re.search(r"^\s*(?:password|allowed_keys|fernetKey|jwtSecret|apiSecretKey|brokerUrl): *\S", text, re.MULTILINE), file.name  # fmt: skip
    named = [(role, name, value) for role, spec in pods().items() for name, value in env_of(spec).items()]
    named += [("weaviate", name, value) for name, value in WEAVIATE["env"].items()]
    for role, name, value in named:
        if SECRET.search(name) and name not in OPEN and name != "MOAT_DOOR_URL" and name != "MOAT_DOOR_TLS_KEY":
            assert name.endswith(("_FILE", "_CMD")), f"{role}: {name} is no file"
            assert value.removeprefix("cat ") in mounted(pods()[role]), f"{role}: {name} names a file that it has not"


def queue_of(command: str) -> tuple[str, str]:
    found = re.search(r"celery worker --queues (\w+) --concurrency (\d+)", command)
    assert found is not None
    return found[1], found[2]


def test_the_workers_serve_the_same_queues_and_are_scaled_by_the_tasks_of_these() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in of("ScaledObject").values()}
    assert set(scaled) == {"airflow-worker", "airflow-worker-gpu", "embedder-gpu"}
    for service, target in (("worker", "airflow-worker"), ("worker-gpu", "airflow-worker-gpu")):
        queue, at_once = queue_of(defaults(SERVICES[service]["command"]))
        values = worker(queue)
        assert values["queue"] == queue
        assert queue_of(values["args"][-1]) == (queue, at_once)
        (trigger,) = scaled[target]["triggers"]
        assert trigger["metadata"]["query"].strip() == (
            f"SELECT ceil(count(*)::decimal / {at_once}) FROM task_instance "
            f"WHERE state IN ('queued', 'running') AND queue = '{queue}'"
        )
        check = SERVICES[service]["healthcheck"]["test"].replace("$$", "$")
        assert values["livenessProbe"]["command"] == ["sh", "-c", check]
    assert scaled["airflow-worker"]["minReplicaCount"] >= 1, "access sync does not wait"
    assert {t["authenticationRef"]["name"] for s in scaled.values() for t in s["triggers"]} == {"airflow-database"}


def test_the_roles_of_airflow_run_the_commands_of_the_compose_file_and_are_asked_alike() -> None:
    for role, key in ROLES.items():
        assert SERVICES[role]["command"] == f"airflow {role}", "which the chart runs by itself"
        assert "args" not in AIRFLOW[key]
    assert AIRFLOW["scheduler"]["livenessProbe"]["command"][-1] == SERVICES["scheduler"]["healthcheck"]["test"]
    for role in ("dag-processor", "triggerer"):
        asked = defaults(SERVICES[role]["healthcheck"]["test"]).replace("//api-server", "//airflow-api-server")
        command = AIRFLOW[ROLES[role]]["livenessProbe"]["command"][-1]
        assert command == f"! {asked}".replace('"status":"healthy"', '"status":"unhealthy"')
    for name, one in of("Deployment").items():
        command = one["spec"]["template"]["spec"]["containers"][0]["command"]
        assert " ".join(command) == SERVICES.get(name, {"command": "moat door"})["command"]


def test_the_database_job_does_what_airflow_init_does() -> None:
    ours = AIRFLOW[JOB]["args"][-1]
    theirs = SERVICES["airflow-init"]["command"][0].replace("$$", "$")
    steps = theirs.partition("python - <<")[0].splitlines()
    assert len(steps) == 4
    assert [line for line in ours.splitlines() if line in steps] == steps
    assert set(mounted(pods()["airflow-init"])) == files("airflow-init")
    for name, value in said("airflow-init").items():
        assert env_of(pods()["airflow-init"]).get(name) == value or f"{name}={value}" in ours, name
    grants = (FOLDER / "base" / "grants.sql").read_text("utf-8")
    lines = WHOLE["configs"]["grants"]["content"].splitlines()
    assert [line for line in grants.splitlines() if line in lines] == lines


def test_ports_are_those_of_the_compose_file() -> None:
    published = {defaults(p).split(":")[-1] for s in ("weaviate", "api-server", "redis") for p in SERVICES[s]["ports"]}
    assert {str(p["port"]) for s in ("service", "grpcService") for p in WEAVIATE[s]["ports"]} <= published
    allowed = {str(p["port"]) for one in of("NetworkPolicy").values() for rule in one["spec"].get("ingress", ()) for p in rule.get("ports", ())}  # fmt: skip
    assert {"8080", "6379", "50051", str(Settings.model_fields["embedder_port"].default)} <= allowed
    door = str(Settings.model_fields["door_port"].default)
    assert door in allowed
    ports = {name: one["spec"]["ports"][0]["port"] for name, one in of("Service").items()}
    assert ports == {"embedder": 8765, "embedder-gpu": 8765, "door": int(door)}


def test_the_door_has_the_readers_key_its_own_account_and_settings_that_are_settings() -> None:
    spec = pods()["door"]
    assert mounted(spec)["/run/moat/ledger_url"] == ("moat-door", "ledger_url")
    assert {path for path in mounted(spec) if "weaviate" in path} == {"/run/secrets/weaviate_reader_key"}
    given = {**env_of(spec), **of("ConfigMap")["moat-door"]["data"]}
    names = {name.removeprefix("MOAT_").removesuffix("_FILE").lower() for name in given}
    assert names <= set(Settings.model_fields)
    theirs = said("worker")
    shared = {name for name in given if name in theirs and not name.endswith("_LEDGER_URL_FILE")}
    assert len(shared) >= 6
    assert {name: given[name] for name in shared} == {name: theirs[name] for name in shared}


def test_a_card_and_the_model_are_where_they_are_needed() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for role, spec in pods().items():
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            name, _, tag = container["image"].rpartition(":")
            assert name == "registry.example.com/moat"
            assert tag == (version if role.startswith("embedder") else f"{version}-cpu"), role
        cards = {"nvidia.com/gpu": 1} if role == "embedder-gpu" else {}
        assert {n: v for n, v in spec["containers"][0]["resources"]["limits"].items() if "/" in n} == cards, role
    dockerfile = (PROJECT / "Dockerfile").read_text("utf-8")
    assert f"--target cpu --tag moat:{version}-cpu" in dockerfile
    assert AIRFLOW["airflowVersion"] in (PROJECT / "requirements.in").read_text("utf-8")
    gpu = yaml.safe_load((FOLDER / "gpu" / "kustomization.yaml").read_text("utf-8"))
    (which,) = gpu["configMapGenerator"]
    assert which["literals"] == ["host=embedder-gpu"]


def test_weaviate_is_three_nodes_as_closed_as_the_one_of_the_compose_file() -> None:
    theirs = {n: v for n, v in environment("weaviate").items() if n not in ONE_NODE}
    own = {n: v for n, v in WEAVIATE["env"].items() if n not in ("GOMEMLIMIT", "RAFT_BOOTSTRAP_TIMEOUT")}
    assert own == {**theirs, "RAFT_BOOTSTRAP_EXPECT": "3"}
    assert WEAVIATE["replicas"] == 3
    image = WEAVIATE["image"]
    assert f"{image['registry']}/{image['repo']}:{image['tag']}" == SERVICES["weaviate"]["image"]
    assert WEAVIATE["authentication"]["anonymous_access"]["enabled"] is False
    assert "apikey" not in WEAVIATE["authentication"], "keys by value"
    assert WEAVIATE["storage"]["size"]
    assert WEAVIATE["podDisruptionBudgets"]["weaviate"]["spec"] == {"maxUnavailable": 1}
    limit = int(re.sub(r"\D", "", WEAVIATE["env"]["GOMEMLIMIT"]))
    assert 0.8 <= limit / int(re.sub(r"\D", "", WEAVIATE["resources"]["limits"]["memory"])) <= 0.95


def selected(selector: dict[str, Any]) -> set[str]:
    """Names of the compose file for the pods that a selector of a network policy means."""
    known = {
        **{role: {"tier": "airflow", "component": role} for role in ("scheduler", "dag-processor", "triggerer", "redis")},
        "api-server": {"tier": "airflow", "component": "api-server"},
        "worker": {"tier": "airflow", "component": "worker"},
        "worker-gpu": {"tier": "airflow", "component": "worker"},
        "airflow-init": {"tier": "airflow", "component": "run-airflow-migrations"},
        "weaviate": {"app": "weaviate"},
        **{n: {"app.kubernetes.io/name": n, "app.kubernetes.io/part-of": "moat"} for n in ("embedder", "embedder-gpu", "door")},
    }  # fmt: skip

    def fits(labels: dict[str, str]) -> bool:
        wanted = selector.get("matchLabels", {}).items()
        among = selector.get("matchExpressions", ())
        return all(labels.get(k) == v for k, v in wanted) and all(labels.get(e["key"]) in e["values"] for e in among)

    return {name for name, labels in known.items() if fits(labels)}


def reached_by(server: str, way: str = "ingress") -> set[str]:
    """Who may come in to a server, or whom it may go out to, by pods."""
    found, peer = set[str](), "from" if way == "ingress" else "to"
    for policy in of("NetworkPolicy").values():
        if policy["spec"]["podSelector"] and server in selected(policy["spec"]["podSelector"]):
            for rule in policy["spec"].get(way, ()):
                for one in rule.get(peer, ()):
                    found |= selected(one["podSelector"]) if "podSelector" in one else set()
    return found


@pytest.mark.parametrize("server", ["weaviate", "redis", "embedder", "embedder-gpu"])
def test_only_those_reach_a_server_that_reach_it_in_the_compose_file(server: str) -> None:
    theirs = REACHED_BY[server] - {"moat", "embedder", "embedder-gpu"}  # the command line runs in a worker's pod
    door = set() if server == "redis" else {"door"}
    assert reached_by(server) - {"weaviate"} == theirs | door


def test_nothing_is_open_that_no_policy_opens_and_what_is_let_in_is_let_out() -> None:
    deny = of("NetworkPolicy")["nothing-else"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for server in ("weaviate", "redis", "embedder", "api-server"):
        for client in reached_by(server) - {"worker", "worker-gpu"}:  # these may go anywhere
            assert server in reached_by(client, "egress"), f"{client} to {server}"
    for embedder in ("embedder", "embedder-gpu"):
        assert reached_by(embedder, "egress") == set()


def rendered(command: list[str]) -> Iterator[dict[str, Any]]:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield from (one for one in yaml.safe_load_all(done.stdout) if one)


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not installed: the overlays are not put together"
)
@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_the_overlays_come_together(overlay: str) -> None:
    made = list(rendered(["kubectl", "kustomize", str(FOLDER / overlay)]))
    for one in made:
        if one["kind"] not in CRD:
            validate(one, NEWEST)
    maps = {one["metadata"]["name"]: one["data"] for one in made if one["kind"] == "ConfigMap"}
    assert maps["moat-embedder"]["host"] == ("embedder" if overlay == "base" else "embedder-gpu")
    assert set(maps["moat-grants"]) == {"grants.sql", "airflow_grants.sql"}
    services = {one["metadata"]["name"] for one in made if one["kind"] == "Service"}
    assert maps["moat-embedder"]["host"] in services


CHARTS = Path(os.environ.get("CHARTS", "/nonexistent"))


@pytest.mark.skipif(
    shutil.which("helm") is None or not CHARTS.is_dir(), reason="no helm, or CHARTS names no folder with both charts"
)
@pytest.mark.parametrize("chart", ["airflow", "weaviate"])
def test_the_charts_take_the_values(chart: str) -> None:
    values = str(FOLDER / f"{chart}.yaml")
    made = list(rendered(["helm", "template", chart, str(CHARTS / chart), "--namespace", "moat", "--values", values]))
    for one in made:
        validate(one, NEWEST)
    names = {(one["kind"], one["metadata"]["name"]) for one in made}
    if chart == "airflow":
        assert {("Deployment", "airflow-worker"), ("Deployment", "airflow-worker-gpu")} <= names
        assert ("Service", "airflow-api-server") in names
        workers = [one for one in made if one["kind"] == "Deployment" and "worker" in one["metadata"]["name"]]
        assert "airflow_db_url" not in str(workers)
        assert not [name for kind, name in names if kind == "Secret"]
    else:
        assert {("Service", "weaviate"), ("Service", "weaviate-grpc")} <= names
