# syntax=docker/dockerfile:1

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/bridge
COPY requirements.lock pyproject.toml README.md ./
# the lock also pins what only tests and lint need; used as constraints, it installs none of that
RUN /opt/bridge/bin/pip install --constraint requirements.lock setuptools \
 && /opt/bridge/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > runtime.txt \
 && /opt/bridge/bin/pip install --constraint requirements.lock --requirement runtime.txt
COPY bridge ./bridge
RUN /opt/bridge/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --home-dir /app --shell /usr/sbin/nologin bridge \
 && install --directory --owner=bridge --group=bridge --mode=0700 /app/var
COPY --from=build /opt/bridge /opt/bridge
WORKDIR /app
COPY mappings ./mappings
COPY config ./config
ENV PATH=/opt/bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER bridge
VOLUME /app/var
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('BRIDGE__SERVER__PORT', '8080') + '/health/live', timeout=2)"]
ENTRYPOINT ["bridge"]
CMD ["serve", "--config", "/app/config/docker.toml"]
