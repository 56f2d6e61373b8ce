# syntax=docker/dockerfile:1
# The job of examples/ad_counts. For a job of your own, copy it instead of the example and name it in ENTRYPOINT.

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY connectors ./connectors
COPY state ./state
COPY streamproc ./streamproc
RUN python -m venv --without-pip /venv
RUN --mount=type=cache,target=/root/.cache/pip python -m pip --python /venv/bin/python install '.[kafka]'

FROM python:3.13-slim
# A fixed number: whoever backs up or restores the volume can name the owner.
RUN groupadd --gid 10001 streamproc \
    && useradd --uid 10001 --gid streamproc --no-create-home --shell /usr/sbin/nologin streamproc \
    && install --directory --owner=streamproc --group=streamproc /var/lib/streamproc
COPY --from=build /venv /venv
WORKDIR /app
COPY examples/ad_counts ./examples/ad_counts
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STREAMPROC_STATE_DIR=/var/lib/streamproc
USER 10001:10001
VOLUME /var/lib/streamproc
# In this form the process itself gets SIGTERM, and stops gracefully.
ENTRYPOINT ["python", "-m", "examples.ad_counts"]
