# Images that serve what is mounted at /models, on ports 8000 (HTTP), 8001 (gRPC) and 8002 (metrics):
#
#     docker build --target cpu --tag naiad:cpu .        the default target
#     docker build --target gpu --tag naiad:gpu .        for NVIDIA GPUs
#     docker run --publish 8000-8002:8000-8002 --volume ./models:/models:ro naiad:cpu
#
# Rules:
# - `cpu` and `gpu` differ in their base and their lock file only; a test compares them line by line.
# - What is served is installed from a lock file and from the wheel made here. Dependencies are a layer of their own,
#   so that a new Naiad on the same dependencies is a small download.
# - The process is an ordinary user who can write nowhere; it needs no capability and no writable file system.
# - Nothing here is for one machine alone: a mirror of a base image is a build argument.

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
# Rust, a C compiler and Debian's Python make the wheel. Where it cannot be had, gRPC without the native part needs none:
# --build-arg RUST_IMAGE=docker.io/library/python:3.11-slim-bookworm --build-arg BUILD_NAIAD_NATIVE=never
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
# The release with the versions that onnxruntime-gpu in requirements/gpu.lock is built for: CUDA 13, cuDNN 9, TensorRT 10.
ARG GPU_IMAGE=nvcr.io/nvidia/tensorrt:26.03-py3


FROM ${RUST_IMAGE} AS wheel
ARG BUILD_NAIAD_NATIVE=required
RUN apt-get update \
    && apt-get install --yes --no-install-recommends 'python3-venv=3.11.*' \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements/serve.lock requirements/
RUN /usr/bin/python3 -m venv /build \
    && /build/bin/python3 -m pip install --no-cache-dir --constraint requirements/serve.lock setuptools setuptools-rust wheel
COPY LICENSE MANIFEST.in README.md pyproject.toml setup.py ./
COPY server server
RUN /build/bin/python3 -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .


# The first process of a container: it hands signals on also before Python listens for them, and reaps orphans.
FROM ${PYTHON_IMAGE} AS init
RUN apt-get update \
    && apt-get install --yes --no-install-recommends 'tini=0.19.0-*' \
    && rm -rf /var/lib/apt/lists/*


FROM ${PYTHON_IMAGE} AS cpu
LABEL org.opencontainers.image.title="Naiad" \
      org.opencontainers.image.description="An inference server for trained models, speaking the KServe V2 / Triton protocol" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# An environment of its own, which sees pip and, where the base has them, TensorRT's bindings outside of it.
RUN useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin naiad \
    && mkdir /models \
    && python3 -m venv --system-site-packages --without-pip /opt/naiad
COPY --from=init /usr/bin/tini-static /usr/local/bin/tini
# The lock alone says what is installed: NVIDIA's bases pin packages of theirs for everybody, by PIP_CONSTRAINT.
COPY requirements/serve.lock /opt/naiad/naiad.lock
RUN grep --extended-regexp --invert-match '^(semantic-version|setuptools|setuptools-rust|wheel)==' /opt/naiad/naiad.lock > /tmp/serving.lock \
    && PIP_CONSTRAINT='' /opt/naiad/bin/python3 -m pip install --no-cache-dir --no-deps --requirement /tmp/serving.lock \
    && rm /tmp/serving.lock
COPY --from=wheel /wheels /opt/naiad/wheels
RUN PIP_CONSTRAINT='' /opt/naiad/bin/python3 -m pip install --no-cache-dir --no-deps /opt/naiad/wheels/naiad-*.whl
# ONNX Runtime reports to its maker unless it is told not to before it starts.
ENV PATH=/opt/naiad/bin:${PATH} \
    ORT_DISABLE_TELEMETRY=1 \
    NAIAD_MODEL_REPOSITORY='["/models"]' \
    NAIAD_GRPC_ADDRESS=0.0.0.0 \
    NAIAD_HTTP_ADDRESS=0.0.0.0 \
    NAIAD_METRICS_ADDRESS=0.0.0.0
WORKDIR /models
USER 10001:10001
EXPOSE 8000 8001 8002
# Ready once every model has been loaded or has failed to. The port follows NAIAD_HTTP_PORT, not the flag.
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python3", "-I", "-c", "import http.client, os, sys; \
server = http.client.HTTPConnection('localhost', int(os.environ.get('NAIAD_HTTP_PORT', '8000')), timeout=4); \
server.request('GET', '/v2/health/ready'); \
sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--", "naiad"]
CMD ["serve"]


FROM ${GPU_IMAGE} AS gpu
LABEL org.opencontainers.image.title="Naiad" \
      org.opencontainers.image.description="An inference server for trained models, speaking the KServe V2 / Triton protocol" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin naiad \
    && mkdir /models \
    && python3 -m venv --system-site-packages --without-pip /opt/naiad
COPY --from=init /usr/bin/tini-static /usr/local/bin/tini
COPY requirements/gpu.lock /opt/naiad/naiad.lock
RUN grep --extended-regexp --invert-match '^(semantic-version|setuptools|setuptools-rust|wheel)==' /opt/naiad/naiad.lock > /tmp/serving.lock \
    && PIP_CONSTRAINT='' /opt/naiad/bin/python3 -m pip install --no-cache-dir --no-deps --requirement /tmp/serving.lock \
    && rm /tmp/serving.lock
COPY --from=wheel /wheels /opt/naiad/wheels
RUN PIP_CONSTRAINT='' /opt/naiad/bin/python3 -m pip install --no-cache-dir --no-deps /opt/naiad/wheels/naiad-*.whl
ENV PATH=/opt/naiad/bin:${PATH} \
    ORT_DISABLE_TELEMETRY=1 \
    NAIAD_MODEL_REPOSITORY='["/models"]' \
    NAIAD_GRPC_ADDRESS=0.0.0.0 \
    NAIAD_HTTP_ADDRESS=0.0.0.0 \
    NAIAD_METRICS_ADDRESS=0.0.0.0
WORKDIR /models
USER 10001:10001
EXPOSE 8000 8001 8002
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python3", "-I", "-c", "import http.client, os, sys; \
server = http.client.HTTPConnection('localhost', int(os.environ.get('NAIAD_HTTP_PORT', '8000')), timeout=4); \
server.request('GET', '/v2/health/ready'); \
sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--", "naiad"]
CMD ["serve"]


# What a build without --target makes.
FROM cpu AS default
