# config-reloader as a container image. Two targets: `distroless` (the default) and `scratch` (the binary and the few shared
# libraries it needs, nothing else); a third, `demo-app`, is the app of k8s/base.
#   docker build -t config-reloader .
#   docker build -t config-reloader --target scratch .
# Arguments: BUILD_REVISION git revision told by --version;
# ROOTFS an image or stage with /rootfs, for a binary that was compiled elsewhere.
# Both are pinned; .github/renovate.json has a bot raise them.
ARG DENO_IMAGE=denoland/deno:debian-2.9.6@sha256:2014dc167ece617ef7e7ba40631ac2234c59e75ce693e7cc2dc2602b3c87859d
ARG BASE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG ROOTFS=compiled

FROM --platform=$BUILDPLATFORM ${DENO_IMAGE} AS build
WORKDIR /src
# dependencies first: this layer stays until the lock file changes
COPY deno.json deno.lock ./
RUN deno install --frozen
COPY main.ts ./
COPY src src
COPY scripts scripts
ARG TARGETARCH=amd64
ARG BUILD_REVISION=unknown
RUN case "$TARGETARCH" in arm64) target=aarch64 ;; *) target=x86_64 ;; esac \
 && BUILD_REVISION="$BUILD_REVISION" deno task compile --target "$target-unknown-linux-gnu" --output /out/config-reloader

# the binary and its shared libraries, at their places
FROM ${DENO_IMAGE} AS compiled
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=build /out/config-reloader /rootfs/config-reloader
RUN ldd /rootfs/config-reloader | grep -oE '/[^ ]+' | while read -r library; do \
      mkdir -p "/rootfs$(dirname "$library")" && cp -L "$library" "/rootfs$library" || exit 1; done

FROM ${ROOTFS} AS rootfs

# the app of k8s/base, to try it with
FROM ${DENO_IMAGE} AS demo-app
COPY examples/demo-app/app.ts /app.ts
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["deno", "run", "-A", "--no-prompt", "--no-config", "--no-lock", "--no-check", "/app.ts", "/etc/amp/config.yaml", "8080"]

# the target is named for what it is
# hadolint ignore=DL3063
FROM scratch AS scratch
COPY --from=rootfs /rootfs/ /
# A read-only root, no home and no entry in passwd are all right: nothing is ever written. PATH: `kubectl exec … config-reloader check`.
ENV DENO_DIR=/nonexistent HOME=/nonexistent PATH=/:/usr/local/bin:/usr/bin:/bin
USER 65532:65532
EXPOSE 9091
ENTRYPOINT ["/config-reloader"]
LABEL org.opencontainers.image.title="config-reloader" \
      org.opencontainers.image.description="Watches config files, signals the app, and proves that it reloaded" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM ${BASE} AS distroless
COPY --from=rootfs /rootfs/config-reloader /config-reloader
ENV DENO_DIR=/nonexistent HOME=/nonexistent PATH=/:/usr/local/bin:/usr/bin:/bin
USER 65532:65532
EXPOSE 9091
ENTRYPOINT ["/config-reloader"]
LABEL org.opencontainers.image.title="config-reloader" \
      org.opencontainers.image.description="Watches config files, signals the app, and proves that it reloaded" \
      org.opencontainers.image.licenses="Apache-2.0"
