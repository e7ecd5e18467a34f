# syntax=docker/dockerfile:1
# The image of the chart: the wheel with its locked dependencies, git and ssh, an init process, no root, nothing writable.
#   docker build --tag rollguard:0.1.0 .
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN pip install --no-cache-dir --disable-pip-version-check "hatchling>=1.27" build
COPY pyproject.toml README.md LICENSE requirements-dev.lock ./
COPY controller controller
COPY policies policies
RUN python -m build --wheel --no-isolation --outdir /wheel
# The versions that the tests ran with; of the lock only what the wheel needs is installed.
RUN python -m venv /opt/rollguard \
    && grep --extended-regexp --only-matching '^[A-Za-z0-9._-]+==[^\\]+' requirements-dev.lock > /constraints.txt \
    && /opt/rollguard/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --constraint /constraints.txt /wheel/*.whl \
    && /opt/rollguard/bin/pip uninstall --yes --quiet pip

FROM python:3.13-slim-trixie
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 rollguard \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin rollguard \
    && install -d -o 65532 -g 65532 /var/cache/rollguard
COPY --from=build /opt/rollguard /opt/rollguard
# Compiled files cannot be written later: the root file system is read-only.
RUN /opt/rollguard/bin/python -m compileall -q /opt/rollguard/lib
# Heaps of single threads are hardly ever given back: two for all of them take an eighth less with thousands of analyses.
ENV PATH=/opt/rollguard/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
# Git leaves children behind when it is ended; the init process takes them.
ENTRYPOINT ["tini", "--", "rollguard"]
CMD ["run", "--settings", "/etc/rollguard/rollguard.yaml"]
