"""Ports and secrets of `make cluster`, made once for a state folder."""

import secrets
from pathlib import Path

from dotenv import dotenv_values

from moat.local.compose import secret_names
from moat.local.servers import free_ports, ports_in_a_row
from moat.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yaml"
NODES = 3  # of Weaviate
PORTS = ("AIRFLOW", "REDIS", "S3", "POSTGRES", "AIRFLOW_DB", "WEAVIATE", "WEAVIATE_GRPC", "EMBEDDER", "DOOR", "COMPANY_S3", "SCHEDULER_HEALTH")  # fmt: skip
NODE_PORTS = ("OUTSIDE", "HTTP", "GRPC")  # of each node, beside the four in a row of the cluster


def settled(file: Path) -> dict[str, str]:
    """Ports and secrets of this state folder, made once."""
    there = {name: value for name, value in dotenv_values(file, interpolate=False).items() if value is not None}
    nodes = [f"NODE{n}" for n in range(1, NODES + 1)]
    names = [*PORTS, *(f"{node}_{port}" for node in nodes for port in NODE_PORTS)]
    for name, port in zip(names, free_ports(len(names)), strict=True):
        there.setdefault(f"PORT_{name}", str(port))
    for node in nodes:
        there.setdefault(f"PORT_{node}_ROW", str(ports_in_a_row(4)[0]))
    for name in (*secret_names(COMPOSE), "COMPANY_S3_KEY"):
        made = secrets.token_urlsafe(32) + "=" if "FERNET" in name else secrets.token_urlsafe(48)
        there.setdefault(name, made)
    file.touch(0o600)
    file.write_text("".join(f"{name}='{value}'\n" for name, value in there.items()))
    return there
