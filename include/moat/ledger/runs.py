"""Runs, as loads name who makes them: airflow:DAG:RUN or cli:HOST:PID:ID."""

import os
import socket
import uuid


def of_this_process() -> str:
    """Identity of a run that this process makes, another one each time."""
    return f"cli:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def gone(run: str) -> bool:
    """Whether a run of the command line was a process of this machine that is no more."""
    kind, _, rest = run.partition(":")
    host, _, process = rest.rpartition(":")[0].rpartition(":")
    if kind != "cli" or host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's
        return False
    return False
