# The images of Moat. Target `cpu` is every Airflow role and the door; target `cuda`, the default, is the embedder too,
# with a card or without one. They hold no secret, and nothing is fetched when they run.
#
#   docker build --tag moat:0.1.0 .
#   docker build --target cpu --tag moat:0.1.0-cpu .
#
# By digest: a tag can be moved by its owner, a digest cannot. The first command says what the tag is today:
#   docker buildx imagetools inspect python:3.11.15-slim-bookworm --format '{{.Manifest.Digest}}'
#   docker build --build-arg PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:… .
#
# What is in it: /opt/moat/sbom.cdx.json, a CycloneDX list of the Python packages; with Debian's, beside the image:
#   docker buildx build --sbom=true --provenance=mode=max --push --tag … .
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

# --- The system: what the wheels link to, and where Moat and Airflow may write.
FROM ${PYTHON_IMAGE} AS system

# tesseract reads images and scans; the PDF parser's wheels link to libgl1, libglib2.0-0 and libmagic1; curl asks
# how a service is. pandoc and the PostgreSQL drivers come inside their wheels. EXTRA_PACKAGES adds languages
# (tesseract-ocr-deu), or libreoffice-writer and libreoffice-impress for old .doc and .ppt files. Debian's versions are
# not pinned: they move with its security fixes, and an older one cannot be had any more.
ARG EXTRA_PACKAGES=""
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        curl libgl1 libglib2.0-0 libmagic1 tesseract-ocr $EXTRA_PACKAGES \
    && rm -rf /var/lib/apt/lists/*

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/moat/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/moat/plugins \
    MOAT_HOME=/var/lib/moat \
    PYTHONPATH=/opt/moat:/opt/moat/include \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    HF_HUB_OFFLINE=1 \
    DO_NOT_TRACK=1 \
    SCARF_NO_ANALYTICS=1
RUN useradd --uid 50000 --create-home moat \
    && install -d -o moat -g moat $AIRFLOW_HOME $MOAT_HOME $HF_HOME
WORKDIR /opt/moat

# --- Moat. Bytecode is made here: the user that runs may not write it, and every task starts a process that imports anew.
FROM system AS source
COPY LICENSE README.md pyproject.toml requirements.in requirements-author.in requirements-door.in requirements-worker.in ./
COPY include include
COPY plugins plugins
COPY dags dags
RUN python -m compileall -q include plugins dags

# --- The packages, by the lock: it is whole, so nothing is resolved. What installs them stays behind.
FROM system AS installer
COPY requirements-uv.txt requirements-sbom.txt requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=cache,target=/root/.cache/uv \
    pip install --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-uv.txt \
    && uv venv /opt/sbom \
    && VIRTUAL_ENV=/opt/sbom uv pip install --no-deps --require-hashes -r requirements-sbom.txt \
    && uv venv $VIRTUAL_ENV

# Without what runs a model and what only that needs, which is more than half of all bytes: these roles ask an embedder.
FROM installer AS installed-cpu
COPY --from=source /opt/moat /opt/moat
RUN --mount=type=cache,target=/root/.cache/uv \
    awk '/^[a-z0-9]/ { kept = !/^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z-]+|accelerate|timm|transformers|sentence-transformers|unstructured-inference)==/ } kept' \
        requirements.txt > /tmp/cpu.txt \
    && uv pip install --link-mode copy --compile-bytecode --no-deps --require-hashes -r /tmp/cpu.txt \
    && uv pip install --no-deps --no-build-isolation -e . \
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file sbom.cdx.json /opt/venv

FROM installer AS installed-cuda
COPY --from=source /opt/moat /opt/moat
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --link-mode copy --compile-bytecode --no-deps --require-hashes -r requirements.txt \
    && uv pip install --no-deps --no-build-isolation -e . \
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file sbom.cdx.json /opt/venv

# --- What is shipped: files of root, which the user that runs reads and does not write.
FROM system AS cpu
COPY --from=installed-cpu /opt/venv /opt/venv
COPY --from=installed-cpu /opt/moat /opt/moat
USER 50000
CMD ["moat", "--help"]

# The packages bring CUDA with them; the driver is the machine's.
FROM system AS cuda
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=installed-cuda /opt/venv /opt/venv
COPY --from=installed-cuda /opt/moat /opt/moat
USER 50000
CMD ["moat", "--help"]
