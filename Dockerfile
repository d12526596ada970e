# The service alone. docs/deployment.md: how this is proven, what it weighs, and the GPU's image.
FROM python:3.11-slim-bookworm AS packages
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv && /opt/venv/bin/pip uninstall --yes --quiet setuptools
WORKDIR /build
ARG REQUIREMENTS=requirements.lock
COPY ${REQUIREMENTS} requirements.lock
# The secret is for those whose packages come from an index of their own; no layer keeps it.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --no-deps --only-binary :all: --require-hashes --requirement requirements.lock \
    && /opt/venv/bin/pip uninstall --yes --quiet pip
COPY deploy/unneeded.txt deploy/without-gpl ./
RUN cd /opt/venv/lib/python3.11/site-packages \
    && rm -rf $(grep -v '^#' /build/unneeded.txt) \
    && sh /build/without-gpl \
    && find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' \) -delete \
    && find . \( -name '*.cpython-*.so' -o -name '*.abi3.so' \) -exec strip --strip-unneeded '{}' + \
    && find /opt/venv -name __pycache__ -prune -exec rm -rf '{}' +
# Nothing can be written later: what every start loads is compiled now, and found to be whole.
RUN MPLCONFIGDIR=/tmp /opt/venv/bin/python -c "import av, fastapi, matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, numpy, openvino, pydantic_settings, pyseccomp, python_multipart, scipy.fft, scipy.special, soundfile, soxr, uvicorn, websockets"

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin earshot
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/earshot
# Only below /tmp, which may be in memory, is anything ever written.
ENV EARSHOT_HOST=0.0.0.0 \
    EARSHOT_LOG_FORMAT=json \
    EARSHOT_PORT=8000 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s \
    CMD ["/opt/venv/bin/python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"EARSHOT_PORT\"]}/readyz', timeout=2)"]
CMD ["/opt/venv/bin/python", "-m", "app"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Earshot" \
      org.opencontainers.image.description="A REST service that says what is in a clip of audio" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
COPY app app
COPY assets assets
COPY earshot earshot
COPY examples examples
COPY models_store models_store
