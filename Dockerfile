FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/venv
WORKDIR /build
# Dependencies change more rarely than code: they get a layer of their own.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt \
    && /opt/venv/bin/pip uninstall --yes --quiet setuptools pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin earshot
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/earshot
COPY app app
COPY models_store models_store
ENV EARSHOT_HOST=0.0.0.0 \
    EARSHOT_PORT=8000 \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER earshot
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["/opt/venv/bin/python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"EARSHOT_PORT\"]}/healthz', timeout=2)"]
CMD ["/opt/venv/bin/python", "-m", "app"]
