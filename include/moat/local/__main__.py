"""`make run`, `make cluster`, `make stop`: python -m moat.local cluster [--once] | run [--once] | stop | programs"""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from rich.markup import escape

from moat.cli import render
from moat.cli.shared import out
from moat.connections import EnvironmentConnections
from moat.errors import FatalError, MoatError
from moat.ledger import Ledger, loads
from moat.local import samples
from moat.local.airflow import follow, logged_in, make_pool
from moat.local.binaries import S3, WEAVIATE, program
from moat.local.cluster import cluster
from moat.local.progress import Progress
from moat.local.stack import stack
from moat.local.supervise import running_pid
from moat.retrieve import Retriever
from moat.settings import PROJECT, Settings, environment

CLUSTER = "cluster"  # the folder of `make cluster` in that of `make run`
SOURCES = ("handbook", "contracts", "tickets")
QUESTION = "What does a team lead earn in Poland?"
ASKERS = ("user:alice.martins@example.com", "user:bob.keller@example.com")
began = time.monotonic()


def _print(line: str) -> None:
    """Print a line of progress with the seconds since the start."""
    out.print(f"[dim]{time.monotonic() - began:6.0f} s[/]  {line}", markup=True)


say = Progress(_print)


def main(arguments: list[str]) -> int:
    home = Path(os.environ.get("MOAT_HOME", PROJECT / ".moat"))
    try:
        match arguments:
            case ["run", *rest]:
                return run(home, once="--once" in rest)
            case ["cluster", *rest]:
                return run_cluster(home, once="--once" in rest)
            case ["stop"]:
                return stop(home)
            case ["programs"]:
                with say.during("bringing the programs of Weaviate and S3"):
                    for wanted in (WEAVIATE, S3):
                        program(wanted, home / "bin", say)
                return 0
    except KeyboardInterrupt:
        say("stopped")
        return 0
    except MoatError as error:
        out.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", markup=True)
        return 1
    out.print(__doc__)
    return 2


def run(home: Path, once: bool) -> int:
    """Start everything, run the sample sources, print the results; then stay until Ctrl-C."""
    end_when_asked()
    with stack(home, say) as running:
        settings = Settings.load()
        ledger = Ledger.open(settings)
        with say.during("bringing the sample company's documents"):
            samples.bring(home, EnvironmentConnections(), ledger)
        with say.during("logging in to Airflow"), logged_in(settings) as airflow:
            make_pool(airflow, settings.gpu_slots)
            good = follow(airflow, SOURCES, say, running.look)
        _results(ledger)
        ledger.close()
        out.print(
            f"\nAirflow:  {settings.airflow_url}   user admin, password {settings.airflow_password.get_secret_value()}"
        )
        out.print(
            'Ask:      .venv/bin/moat search "How many weeks of parental leave are there?" --as user:bob.keller@example.com'
        )
        if not once:
            out.print("Ctrl-C stops all of it.")
            running.watch()
    return 0 if good else 1


def run_cluster(home: Path, once: bool) -> int:
    """Start what docker-compose.yaml describes, run the sample sources on it; then stay until Ctrl-C."""
    end_when_asked()
    with cluster(home / CLUSTER, home / "bin", say) as running:
        settings, ledger = sampled(running.home)
        with say.during("logging in to Airflow"), logged_in(settings) as airflow:
            good = follow(airflow, SOURCES, say, running.look)
        _results(ledger)
        ledger.close()
        out.print(
            f"\nAirflow:  {settings.airflow_url}   user admin, password {settings.airflow_password.get_secret_value()}"
        )
        out.print(f"Commands: MOAT_HOME={running.home} .venv/bin/moat doctor")
        if not once:
            out.print("Ctrl-C stops all of it.")
            running.watch()
    return 0 if good else 1


def sampled(home: Path) -> tuple[Settings, Ledger]:
    """Settings and ledger by `home/env`, with the sample company's documents brought; the caller closes the ledger."""
    os.environ["MOAT_HOME"] = str(home)  # and nothing else: a server that is started again would inherit it
    settings = Settings.load()
    ledger = Ledger.open(settings)
    with say.during("bringing the sample company's documents"):
        samples.bring(home, EnvironmentConnections(environment()), ledger)
    return settings, ledger


def stop(home: Path) -> int:
    """Stop what `make run` and `make cluster` started, by their process ids."""
    held = [folder for folder in (home, home / CLUSTER) if running_pid(folder) is not None]
    for folder in held:
        _stop(folder)
    out.print("stopped" if held else "Moat does not run here")
    return 0


def _stop(home: Path) -> None:
    pid = running_pid(home)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 120
    while running_pid(home) == pid and time.monotonic() < deadline:
        time.sleep(0.2)
    if running_pid(home) == pid:
        raise FatalError(
            f"process {pid} has not stopped in two minutes; its log is what `make run` printed, its servers' logs lie under {home}"
        )


def end_when_asked() -> None:
    """Make `make stop` and a closed terminal end this process as Ctrl-C does."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) != signal.SIG_IGN:  # under nohup it survives the terminal
            signal.signal(ending, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _results(ledger: Ledger) -> None:
    newest = {source: loads.recent(ledger, source, 1) for source in SOURCES}
    out.print()
    render.table(
        out,
        ("source", "load", "state", "documents listed"),
        (
            (source, found[0].id, found[0].state, render.accounted(found[0].counts))
            for source, found in newest.items()
            if found
        ),
        "nothing was loaded",
    )
    out.print(f"\n[bold]{QUESTION}[/]", markup=True)
    with Retriever.from_settings() as retriever:
        for asker in ASKERS:
            answer = retriever.search(QUESTION, asker, limit=1)
            best = answer[0] if answer else None
            told = (
                f"{escape(' › '.join(best.heading_path) + ': ' + ' '.join(best.text.split())[:160])}"
                f"  [dim]{best.source}: {escape(best.document_key)}[/]"
                if best
                else f"nothing {escape(answer.refused or '')}"
            )
            out.print(f"  {asker:<36}{told}", markup=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
