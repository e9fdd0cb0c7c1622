"""docker-compose.yaml, Dockerfile and compose.env.example agree with each other, with Moat and with Airflow."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from moat.index.store import LEAST_SERVER
from moat.local.binaries import S3, WEAVIATE
from moat.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
COMPOSE = PROJECT / "docker-compose.yaml"
EXAMPLE = PROJECT / "compose.env.example"
DOCKERFILE = (PROJECT / "Dockerfile").read_text("utf-8")
WHOLE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]

VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")
ROLES = {
    "airflow-db", "postgres", "redis", "s3-init", "airflow-init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-gpu",
    "weaviate", "s3", "embedder",
}  # fmt: skip
SECRET = re.compile(r"PASSWORD|SECRET|_KEYS?$|TOKEN|REDISCLI_AUTH|SQL_ALCHEMY_CONN|_URL$|RESULT_BACKEND|AIRFLOW_CONN_")
OPEN = {  # they match, and hold an address without a password, or where one is read
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__API__BASE_URL", "MOAT_AIRFLOW_URL", "MOAT_DOOR_URL",
    "AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS",
    "AIRFLOW__WORKERS__SECRETS_BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS",
}  # fmt: skip
DOCKER = shutil.which("docker")
HAS_COMPOSE = DOCKER is not None and subprocess.run([DOCKER, "compose", "version"], capture_output=True).returncode == 0


def environment(service: str) -> dict[str, str]:
    return SERVICES[service].get("environment", {})


def defaults(text: str) -> str:
    """A value as it is where nothing is set that has a default."""
    return VARIABLE.sub(lambda m: m[3] if m[2] == "-" else m[0], text)


def files(service: str) -> set[str]:
    """Paths of the secrets and configs that a service has."""
    of = SERVICES[service]
    return {f"/run/secrets/{name}" for name in of.get("secrets", ())} | {c["target"] for c in of.get("configs", ())}


def every_environment() -> Iterator[tuple[str, str, str]]:
    yield from ((service, name, value) for service in SERVICES for name, value in environment(service).items())


def long_running() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if service["restart"] != "no"}


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_role_is_there_and_starts_without_being_asked() -> None:
    assert set(SERVICES) >= ROLES
    assert all("profiles" not in SERVICES[role] for role in ROLES)


def test_each_queue_of_the_dags_has_a_worker() -> None:
    dags = "".join(path.read_text("utf-8") for path in (PROJECT / "dags").glob("*.py"))
    queues = {"default", *re.findall(r'queue="(\w+)"', dags)}
    served = {
        m[1] for s in SERVICES.values() if (m := re.search(r"celery worker --queues (\w+)", str(s.get("command"))))
    }
    assert served == queues == {"default", "gpu"}


def test_the_pool_of_the_embed_tasks_is_made_with_slots_that_can_be_set() -> None:
    assert 'airflow pools set gpu "$$MOAT_GPU_SLOTS"' in SERVICES["airflow-init"]["command"][0]
    assert VARIABLE.fullmatch(environment("airflow-init")["MOAT_GPU_SLOTS"])


@pytest.mark.parametrize("service", sorted(long_running()))
def test_a_long_running_service_says_how_it_is(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"]
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_a_service_waits_for_can_be_waited_for(service: str) -> None:
    for other, how in SERVICES[service].get("depends_on", {}).items():
        ended = SERVICES[other]["restart"] == "no"
        assert how["condition"] == ("service_completed_successfully" if ended else "service_healthy")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_images_are_pinned(service: str) -> None:
    name, _, tag = SERVICES[service]["image"].rpartition(":")
    assert name
    assert re.match(r"v?\d+\.\d+(\.\d+)?(-|$)", tag), f"{name} at {tag!r}"


def test_servers_are_of_the_versions_that_run_without_docker() -> None:
    image = tuple(map(int, SERVICES["weaviate"]["image"].rpartition(":")[2].split(".")))
    built = tuple(map(int, WEAVIATE.version.split(".")))
    assert LEAST_SERVER <= built <= image, "an image may be a newer patch than what Go can build, never an older one"
    assert image[:2] == built[:2]
    assert SERVICES["s3"]["image"].endswith(f"/versitygw:v{S3.version}")
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    ours = {service["image"] for service in SERVICES.values() if service["image"].startswith("moat:")}
    assert ours == {f"moat:{version}"}


def test_no_secret_stands_in_an_environment_or_on_a_command_line() -> None:
    """Both are seen by whoever may ask Docker, and by every process of the container."""
    for service, name, value in every_environment():
        if SECRET.search(name) and name not in OPEN:
            assert name.endswith(("_FILE", "_CMD")), f"{service}: {name} is no file"
            assert value.removeprefix("cat ") in files(service), f"{service}: {name} names a file that it has not"
    secret = {of["environment"] for of in WHOLE["secrets"].values()}
    for service in SERVICES:
        said = str({**SERVICES[service], "configs": (), "secrets": ()})
        assert not secret & {m[1] for m in VARIABLE.finditer(said)}, service


def test_a_secret_inside_an_address_is_a_variable_that_must_be_set() -> None:
    secret = {of["environment"] for of in WHOLE["secrets"].values()}
    text = COMPOSE.read_text("utf-8")
    passwords = re.findall(r"://[^/@\s]*?:([^\n]+?)@|\"password\": \"(.*?)\"", text)
    assert len(passwords) >= 6
    for password in map("".join, passwords):
        found = VARIABLE.fullmatch(password)
        assert found is not None, password
        assert found[2] == "?", password
        assert found[1] in secret, password


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_has_no_secret_that_it_does_not_use(service: str) -> None:
    of = SERVICES[service]
    assert set(of.get("secrets", ())) <= set(WHOLE["secrets"])
    assert {c["source"] for c in of.get("configs", ())} <= set(WHOLE["configs"])
    bodies = [WHOLE["configs"][c["source"]]["content"] for c in of.get("configs", ())]
    used = str([of.get("environment"), of.get("command"), of.get("entrypoint"), of.get("healthcheck"), *bodies])
    for name in of.get("secrets", ()):
        short = name.removeprefix("weaviate_")
        assert name in used or f"key {short}" in used, f"{service}: {name}"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_container_keeps_no_capability(service: str) -> None:
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]
    assert not SERVICES[service].keys() & {"cap_add", "privileged", "network_mode", "pid", "ipc", "userns_mode"}


AIRFLOW = {"airflow-init", "api-server", "scheduler", "dag-processor", "triggerer"}
WORKERS = {"worker", "worker-gpu"}
REACHED_BY = {  # and by nobody else
    "airflow-db": {*AIRFLOW, "moat"},
    "weaviate": {*WORKERS, "moat", "door"},
    "postgres": {*WORKERS, "moat", "airflow-init", "scheduler", "door"},
    "redis": {*WORKERS, "scheduler"},
    "s3": {*WORKERS, "moat", "s3-init", "api-server", "triggerer"},
    "embedder": {*WORKERS, "moat", "embedder-gpu", "door"},
    "embedder-gpu": {*WORKERS, "moat", "embedder", "door"},
}


def shared(one: str, other: str) -> set[str]:
    return set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"])


@pytest.mark.parametrize("service", sorted(REACHED_BY))
def test_only_those_who_need_a_server_reach_it(service: str) -> None:
    assert {other for other in SERVICES if other != service and shared(service, other)} == REACHED_BY[service]


def test_every_network_is_there_for_somebody_and_airflows_database_has_no_way_out() -> None:
    assert {net for of in SERVICES.values() for net in of["networks"]} == set(WHOLE["networks"])
    assert WHOLE["networks"]["airflow"] == {"internal": True}
    assert "ports" not in SERVICES["airflow-db"]


def test_only_those_who_need_a_secret_get_it() -> None:
    """A worker runs what data engineers write, the embedder what strangers wrote: neither can become Airflow."""
    airflows_own = {
        "airflow_db_password", "airflow_fernet_key", "airflow_jwt_secret", "airflow_admin_password", "postgres_password",
    }  # fmt: skip
    for service in ("worker", "worker-gpu", "embedder", "embedder-gpu", "weaviate", "s3", "redis", "s3-init"):
        assert not airflows_own & set(SERVICES[service].get("secrets", ())), service
        assert "/run/moat/airflow_db_url" not in files(service)
    for service in ("embedder", "embedder-gpu"):
        assert SERVICES[service]["secrets"] == ["embedder_key"]
        assert not SERVICES[service].get("configs")
    assert {s for s in SERVICES if "s3_root_key" in SERVICES[s].get("secrets", ())} == {"s3", "s3-init"}
    with_owner = {s for s in SERVICES for c in SERVICES[s].get("configs", ()) if c["source"] == "ledger_owner_url"}
    assert with_owner == {"airflow-init"}


def test_the_door_searches_and_can_do_nothing_else() -> None:
    assert SERVICES["door"]["secrets"] == ["weaviate_reader_key", "embedder_key"]
    assert files("door") == {*(f"/run/secrets/{name}" for name in SERVICES["door"]["secrets"]), "/run/moat/ledger_url"}
    same = {name for name in environment("door") if name in environment("worker")}
    assert {name: environment("door")[name] for name in same} == {name: environment("worker")[name] for name in same}
    assert SERVICES["door"]["profiles"] == ["door"], "it opens where somebody has said whose tokens it takes"


def test_people_have_names_and_roles_of_their_own() -> None:
    manager = environment("api-server")["AIRFLOW__CORE__AUTH_MANAGER"]
    assert manager.endswith(".FabAuthManager")
    assert not [name for _, name, _ in every_environment() if "SIMPLE_AUTH" in name]
    assert "python plugins/moat_people.py" in SERVICES["airflow-init"]["command"][0]
    assert defaults(environment("worker")["MOAT_APPROVERS"]) == "airflow:admin,cli:moat"


@pytest.mark.parametrize(("service", "name"), [(s, n) for s, n, _ in every_environment() if n.startswith("MOAT_")])
def test_moats_settings_are_settings(service: str, name: str) -> None:
    assert name.removeprefix("MOAT_").removesuffix("_FILE").lower() in Settings.model_fields


def test_moats_settings_are_valid_and_workers_have_all_they_need() -> None:
    for service in ("worker", "worker-gpu", "moat"):
        given = {n: defaults(v) for n, v in environment(service).items() if n.startswith("MOAT_")}
        plain = {n.removeprefix("MOAT_").lower(): v for n, v in given.items() if not n.endswith("_FILE")}
        settings = Settings.model_validate(plain)
        assert given["MOAT_LEDGER_URL_FILE"] == "/run/moat/ledger_url"
        assert settings.staging.startswith("s3://")
        assert settings.audit_uri.startswith("s3://moat-audit/")
        assert settings.staging_conn_id in json.loads(defaults(WHOLE["configs"]["connections"]["content"]))
        assert settings.embedder_host in SERVICES
        assert f"--port {settings.weaviate_port} " in SERVICES["weaviate"]["command"][0]
        assert environment("weaviate")["GRPC_PORT"] == str(settings.weaviate_grpc_port)


@pytest.mark.parametrize("service", ["embedder", "embedder-gpu"])
def test_the_embedder_listens_where_workers_are_asks_for_a_key_and_stays(service: str) -> None:
    given = environment(service)
    assert not ipaddress.ip_address(given["MOAT_EMBEDDER_HOST"]).is_loopback
    assert given["MOAT_EMBEDDER_KEY_FILE"] == environment("worker-gpu")["MOAT_EMBEDDER_KEY_FILE"]
    assert given["MOAT_MODEL"] == environment("worker")["MOAT_MODEL"]
    assert given["MOAT_EMBEDDER_IDLE_MINUTES"] == "0"
    assert f":{Settings.model_fields['embedder_port'].default}/health" in SERVICES[service]["healthcheck"]["test"]


def test_a_card_is_asked_for_only_where_there_is_one() -> None:
    with_card = {name for name, service in SERVICES.items() if "nvidia" in str(service.get("deploy"))}
    assert with_card == {"embedder-gpu"}
    assert SERVICES["embedder-gpu"]["profiles"] == ["gpu"]
    assert SERVICES["worker-gpu"]["depends_on"]["embedder-gpu"]["required"] is False


def test_airflows_settings_are_known_to_the_installed_airflow() -> None:
    from airflow.configuration import retrieve_configuration_description

    known = {
        f"AIRFLOW__{section.upper().replace('.', '_')}__{option.upper()}"
        for section, described in retrieve_configuration_description().items()
        for option in described["options"]
    }
    named = {name for _, name, _ in every_environment() if name.startswith("AIRFLOW__")}
    named |= set(re.findall(r"AIRFLOW__\w+", DOCKERFILE))
    assert len(named) > 20
    plain = {name.removesuffix("_CMD") for name in named}
    assert plain <= known, plain - known


def test_airflow_reads_those_settings_from_files_that_are_read_from_files() -> None:
    from airflow.configuration import conf

    sensitive = {f"AIRFLOW__{section}__{option}".upper() for section, option in conf.sensitive_config_values}
    read = {name.removesuffix("_CMD") for _, name, _ in every_environment() if name.endswith("_CMD")}
    assert len(read) >= 6
    assert read <= sensitive, "Airflow runs a command for sensitive options only"


def test_every_airflow_process_has_what_it_shares_with_the_others() -> None:
    everyone = {"airflow-init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-gpu"}
    core = everyone - {"worker", "worker-gpu"}
    for name, services in {
        "AIRFLOW__API__SECRET_KEY_CMD": everyone,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": everyone,
        "AIRFLOW__CELERY__BROKER_URL_CMD": everyone,
        "AIRFLOW__CELERY__RESULT_BACKEND_CMD": everyone,
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": everyone,
        "AIRFLOW__CORE__FERNET_KEY_CMD": core,
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD": core,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": core,
    }.items():
        assert len({environment(service)[name] for service in services}) == 1, name


def test_weaviate_is_closed_as_it_is_without_docker() -> None:
    """What include/moat/local/servers.py gives its Weaviate, but for the addresses and ports of one machine."""
    source = (PROJECT / "include" / "moat" / "local" / "servers.py").read_text("utf-8")
    without_docker = dict(re.findall(r'^        "([A-Z_]+)": "([^"]*)",$', source, re.MULTILINE))
    given = environment("weaviate")
    assert without_docker["AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED"] == "false"
    assert {name: given.get(name) for name in without_docker} == without_docker
    keys = re.search(r'ALLOWED_KEYS="(.*?)"\n', SERVICES["weaviate"]["command"][0])
    assert keys is not None
    assert re.findall(r"key (\w+)_key", keys[1]) == ["operator", "writer", "reader"]
    assert given["AUTHENTICATION_APIKEY_USERS"] == "moat-operator,moat-writer,moat-reader"
    for role in ("operator", "writer", "reader"):
        file = environment("worker")[f"MOAT_WEAVIATE_{role.upper()}_KEY_FILE"]
        assert file == f"/run/secrets/weaviate_{role}_key"


def test_ports_are_published_on_loopback_unless_told_otherwise() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) >= 6
    for port in published:
        host, outside, inside = defaults(port).split(":")
        assert ipaddress.ip_address(host).is_loopback
        assert outside == inside, "another machine finds a port where a container does"


def test_what_is_kept_is_kept_in_named_volumes() -> None:
    named = WHOLE["volumes"]
    used = {defaults(v).split(":")[0] for service in SERVICES.values() for v in service.get("volumes", ())}
    assert used == set(named)
    assert {"airflow-db", "postgres", "redis", "s3", "weaviate"} <= used


def test_every_variable_is_in_the_example_and_the_example_holds_no_other() -> None:
    found = {m[1]: m for m in VARIABLE.finditer(COMPOSE.read_text("utf-8"))}
    example = EXAMPLE.read_text("utf-8")
    required = set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    secret = {of["environment"] for of in WHOLE["secrets"].values()}
    assert required == secret
    assert {name for name, m in found.items() if m[2] == "?"} <= secret
    optional = dict(re.findall(r"^# (\w+)=(.*)$", example, re.MULTILINE))
    assert optional == {n: "" if n == "MAIN_HOST" else m[3] for n, m in found.items() if m[2] == "-"} | {
        "COMPOSE_PROFILES": ""
    }


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The .env that the example's own command makes of it."""
    command = re.search(r"^# +(\(umask 077; .*\))$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert command is not None
    shutil.copy(EXAMPLE, tmp_path)
    subprocess.run(["bash", "-c", command[1]], cwd=tmp_path, check=True)
    return tmp_path / ".env"


def test_the_examples_command_puts_a_secret_on_every_empty_line(filled: Path) -> None:
    from cryptography.fernet import Fernet

    made = dict(re.findall(r"^(\w+)=(.*)$", filled.read_text("utf-8"), re.MULTILINE))
    assert len(made) == len(set(made.values())) == len(re.findall(r"^\w+=$", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert filled.stat().st_mode & 0o077 == 0
    for name, value in made.items():
        if name == "AIRFLOW_FERNET_KEY":
            Fernet(value)
        else:
            assert re.fullmatch(r"[\w-]{64}", value), "it stands in URLs and JSON; Airflow wants 64 bytes"


@pytest.mark.skipif(not HAS_COMPOSE, reason="docker compose is not installed")
def test_docker_compose_reads_it(filled: Path) -> None:
    command = ["docker", "compose", "--env-file", str(filled), "--file", str(COMPOSE)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    everything = [*command, "--profile", "gpu", "--profile", "tools", "config", "--quiet"]
    for given in ([*command, "config", "--quiet"], everything):
        done = subprocess.run(given, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    filled.write_text(filled.read_text("utf-8").replace("REDIS_PASSWORD=", "OTHER="))
    refused = subprocess.run(everything, env=env, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "REDIS_PASSWORD" in refused.stderr
    assert "compose.env.example" in refused.stderr


def test_the_image_is_pinned_runs_as_nobody_special_and_holds_no_secret() -> None:
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users
    assert users[-1] not in {"root", "0"}
    assert "--require-hashes -r requirements.txt" in DOCKERFILE
    assert not [line for line in lines if line.startswith(("ARG", "ENV")) and SECRET.search(line)]


def test_what_installs_everything_else_is_pinned_by_hash_for_every_platform() -> None:
    text = (PROJECT / "requirements-uv.txt").read_text("utf-8")
    assert re.match(r"uv==\d+\.\d+\.\d+ ", text)
    assert text.count("--hash=sha256:") >= 10, "Linux and macOS on both processors, glibc and musl"
    install = "--require-hashes -r requirements-uv.txt"
    for file in (DOCKERFILE, (PROJECT / "Makefile").read_text("utf-8")):
        (line,) = [one for one in file.splitlines() if "pip install" in one and "uv pip install" not in one]
        assert install in line
        assert not re.search(r"\buv==\d", file)


def test_the_build_sees_only_what_the_image_holds() -> None:
    kept = {line[1:] for line in (PROJECT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == kept
    assert "*" in (PROJECT / ".dockerignore").read_text("utf-8").splitlines()


def test_the_lock_holds_what_celery_redis_and_postgresql_need() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (PROJECT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
    drivers = {"celery", "redis", "psycopg2-binary", "asyncpg"}
    assert locked >= drivers | {"apache-airflow-providers-celery", "apache-airflow-providers-postgres"}
    assert "setuptools" in locked, "the image installs Moat without fetching a build tool"
