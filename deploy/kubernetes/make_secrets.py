"""Print the Secrets of a cluster as YAML, for kubectl: from .env, and from docker-compose.yaml, which has the addresses.

    python deploy/kubernetes/make_secrets.py --ledger-db ledger.example.com --airflow-db airflow.example.com \
        --s3 https://s3.example.com | kubectl apply --namespace=moat --filename -

The same .env as for the compose file (compose.env.example says how it is made), with DOOR_DB_PASSWORD and
SCALER_DB_PASSWORD beside. Nothing is written to a disk. A cluster that takes its secrets from a vault makes these
five by its own way: their names and keys are what counts.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
# Which secrets a pod may mount. The others are of servers that the compose file runs itself.
VALUES = (
    "airflow_secret_key", "airflow_fernet_key", "airflow_jwt_secret", "airflow_admin_password", "weaviate_operator_key",
    "weaviate_writer_key", "weaviate_reader_key", "embedder_key",
)  # fmt: skip
ADDRESSES = (
    "airflow_db_url", "celery_broker_url", "celery_result_backend", "ledger_url", "ledger_owner_url", "connections",
)  # fmt: skip
OWN = ("DOOR_DB_PASSWORD", "SCALER_DB_PASSWORD")  # which the compose file does not have
PLAIN = re.compile(r"^[\w=-]+$")  # they stand in URLs and JSON


class Wrong(Exception):
    """Said to whoever runs this, without a trace."""


def env_of(file: Path) -> dict[str, str]:
    """The variables of an .env."""
    if not file.is_file():
        raise Wrong(f"{file} is not there: compose.env.example says how it is made")
    return dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", file.read_text("utf-8"), re.MULTILINE))


def secrets_of(env: dict[str, str], hosts: dict[str, str], s3: str) -> list[dict[str, Any]]:
    """The Secrets, as objects of Kubernetes.

    Args:
        env: Variables of .env.
        hosts: By the name of a service in the compose file, the host, with a port where it is another.
        s3: Address of S3.

    Raises:
        Wrong: A variable is missing, empty or holds what a URL does not.
    """
    compose = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))
    needed = {compose["secrets"][name]["environment"] for name in VALUES} | {*OWN}
    needed |= {
        m[1] for name in ADDRESSES for m in VARIABLE.finditer(compose["configs"][name]["content"]) if m[2] == "?"
    }
    if bad := sorted(name for name in needed if not PLAIN.match(env.get(name, ""))):
        raise Wrong(f"not set, or with other characters than letters, digits, - and _ : {', '.join(bad)}")

    def address(name: str) -> str:
        text = VARIABLE.sub(lambda m: env[m[1]] if m[2] == "?" else m[3], compose["configs"][name]["content"]).strip()
        for service, host in hosts.items():
            found = re.search(rf"@{service}(:\d+)?/", text)
            if found:
                port = "" if ":" in host else found[1] or ""
                text = text.replace(found[0], f"@{host}{port}/")
        return text.replace("http://s3:7070", s3)

    addresses = {name: address(name) for name in ADDRESSES}
    json.loads(addresses["connections"])
    keys = [env[compose["secrets"][f"weaviate_{role}_key"]["environment"]] for role in ("operator", "writer", "reader")]
    ledger, airflow = addresses["ledger_url"], addresses["airflow_db_url"].replace("postgresql+psycopg2", "postgresql")
    return [
        secret("moat-secrets", {name: env[compose["secrets"][name]["environment"]] for name in VALUES}),
        secret("moat-addresses", addresses),
        secret("moat-weaviate", {"AUTHENTICATION_APIKEY_ALLOWED_KEYS": ",".join(keys)}),
        secret("moat-redis", {"password": env["REDIS_PASSWORD"]}),
        secret("moat-door", {"ledger_url": _as(ledger, "moat_door", env["DOOR_DB_PASSWORD"])}),
        secret("moat-scaler", {"connection": _as(airflow, "airflow_scaler", env["SCALER_DB_PASSWORD"])}),
    ]


def _as(url: str, account: str, password: str) -> str:
    return re.sub(r"//[^@]+@", f"//{account}:{password}@", url)


def secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": values}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, default=PROJECT / ".env")
    parser.add_argument(
        "--ledger-db", required=True, help="PostgreSQL of the ledger and of Celery's results: HOST[:PORT]"
    )
    parser.add_argument("--airflow-db", required=True, help="PostgreSQL of Airflow's own database: HOST[:PORT]")
    parser.add_argument("--redis", default="airflow-redis", help="HOST[:PORT]; unset: the one of Airflow's chart")
    parser.add_argument("--s3", required=True, help="address of S3, such as https://s3.example.com")
    given = parser.parse_args()
    hosts = {"airflow-db": given.airflow_db, "postgres": given.ledger_db, "redis": given.redis}
    try:
        made = secrets_of(env_of(given.env), hosts, given.s3)
    except Wrong as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    yaml.safe_dump_all(made, sys.stdout, sort_keys=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
