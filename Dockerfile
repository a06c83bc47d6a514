FROM debian:12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential cmake ninja-build pkg-config libuv1-dev libhttp-parser-dev libssl-dev uthash-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSLOTGATE_TESTS=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr/local \
    && cmake --build /build \
    && cmake --install /build --strip

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libuv1 libhttp-parser2.9 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/ /usr/local/bin/
COPY --from=build /usr/local/share/doc/ /usr/local/share/doc/
# A number, so that Kubernetes' runAsNonRoot can be checked without looking into the image.
USER 10001:10001
EXPOSE 6379
# SIGTERM lets what is in flight finish, for at most shutdown-timeout.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/slotgate"]
