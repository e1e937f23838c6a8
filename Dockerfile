# Outpost, and the SSH node through which hubs reach its servers: docs/image.md.
# BASE_IMAGE is Debian or made of it, with Python 3.11+ as `python3` and its venv module.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS base
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends openssh-server tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /etc/ssh/ssh_host_* \
    && useradd --uid 1000 --user-group --no-create-home --home-dir /run/outpost --shell /usr/sbin/nologin jhuboutpost \
    && install -d -o 1000 -g 1000 -m 0770 /run/outpost /var/lib/outpost \
    && install -d /etc/outpost

FROM base AS packages
# Optional dependencies of pyproject.toml, and packages beside them, such as other Spawners.
ARG EXTRAS=kubernetes
ARG PACKAGES=""
WORKDIR /source
RUN python3 -m venv /opt/outpost
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN /opt/outpost/bin/pip install --quiet --no-cache-dir -c constraints.txt ".[${EXTRAS}]" ${PACKAGES}
COPY core core
COPY handlers handlers
COPY infra infra
RUN /opt/outpost/bin/pip install --quiet --no-cache-dir --no-deps --force-reinstall . \
    && /opt/outpost/bin/pip check \
    && /opt/outpost/bin/pip uninstall --quiet --yes pip

FROM base
ARG VERSION=""
LABEL org.opencontainers.image.title="Outpost" \
    org.opencontainers.image.description="Runs JupyterHub Spawners where the compute is, for JupyterHubs that live elsewhere" \
    org.opencontainers.image.licenses="BSD-3-Clause" \
    org.opencontainers.image.version="${VERSION}"
COPY --from=packages /opt/outpost /opt/outpost
COPY infra/image/outpost infra/image/ssh-node /usr/local/bin/
ENV PATH=/opt/outpost/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# An outpost_config.py mounted here is found.
WORKDIR /etc/outpost
USER 1000:1000
EXPOSE 8080 2222
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "handlers.server", "--host", "0.0.0.0", "--port", "8080"]
