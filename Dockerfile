# docker build -t slotgate --build-arg VERSION=0.1.0 .
# Nothing but the programs, their libraries and the CA bundle gets into the image; ./dev test-image
# builds it and runs it.
ARG DEBIAN=debian:12-slim
FROM ${DEBIAN} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential cmake ninja-build pkg-config ca-certificates \
        libuv1-dev libhttp-parser-dev libssl-dev uthash-dev
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSLOTGATE_TESTS=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr/local \
    && cmake --build /build \
    && cmake --install /build --strip \
    && /src/deploy/container/make_root /usr/local /image

FROM scratch
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="slotgate" \
      org.opencontainers.image.description="One Redis in front of a Redis Cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
ENV PATH=/usr/bin
# Every option has such a variable, and one on the command line beats it. Prefer the variable for the
# port, because the health check sees only the environment. The drain ends before docker stop kills.
ENV SLOTGATE_PORT=6379 SLOTGATE_SHUTDOWN_TIMEOUT=8s
# A number, so that Kubernetes' runAsNonRoot can be checked without looking into the image.
USER 10001:10001
EXPOSE 6379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/bin/slotgate", "--check"]
ENTRYPOINT ["/usr/bin/slotgate"]
