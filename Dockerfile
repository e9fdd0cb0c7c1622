# One image for every Airflow role and for the embedder. It holds no secret, and nothing is fetched when it runs.
FROM python:3.11.15-slim-bookworm

# tesseract reads images and scans; the PDF parser's wheels link to libgl1, libglib2.0-0 and libmagic1; curl asks
# how a service is. pandoc and the PostgreSQL drivers come inside their wheels. EXTRA_PACKAGES adds languages
# (tesseract-ocr-deu), or libreoffice-writer and libreoffice-impress for old .doc and .ppt files.
ARG EXTRA_PACKAGES=""
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

# Bytecode is made here: the user that runs may not write it, and every task starts a process that imports anew.
WORKDIR /opt/moat
COPY requirements-uv.txt requirements.txt ./
RUN --mount=type=cache,target=/root/.cache \
    pip install --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-uv.txt \
    && uv venv $VIRTUAL_ENV \
    && uv pip install --link-mode copy --compile-bytecode --require-hashes -r requirements.txt

COPY LICENSE README.md pyproject.toml requirements.in requirements-author.in requirements-door.in requirements-worker.in ./
COPY include include
COPY plugins plugins
COPY dags dags
RUN uv pip install --no-deps --no-build-isolation -e . \
    && python -m compileall -q include plugins dags \
    && useradd --uid 50000 --create-home moat \
    && install -d -o moat -g moat $AIRFLOW_HOME $MOAT_HOME $HF_HOME

USER moat
CMD ["moat", "--help"]
