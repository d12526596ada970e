FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/venv
WORKDIR /build
# The dependencies change more rarely than the code: they get a layer of their own.
COPY pyproject.toml README.md LICENSE ./
COPY app/__init__.py app/
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check . \
    && /opt/venv/bin/pip uninstall --yes --quiet earshot

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin earshot
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/earshot
COPY app app
COPY models_store models_store
ENV EARSHOT_HOST=0.0.0.0 \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER earshot
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["/opt/venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["/opt/venv/bin/python", "-m", "app"]
