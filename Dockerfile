FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
WORKDIR /src
ENV CARGO_PROFILE_RELEASE_DEBUG=none \
    CARGO_PROFILE_RELEASE_STRIP=symbols
# Dependencies over empty sources: a layer that only a changed manifest rebuilds.
# The workspace resolves with the manifest of its other member; that member is never compiled.
COPY Cargo.toml Cargo.lock ./
COPY loadtest/Cargo.toml loadtest/
RUN mkdir -p src benches loadtest/src \
    && echo '//! Empty.' > src/lib.rs \
    && printf '//! Empty.\nfn main() {}\n' | tee src/main.rs > loadtest/src/main.rs \
    && sed -n '/^\[\[bench\]\]/{n;s/^name = "\(.*\)"$/benches\/\1.rs/p}' Cargo.toml | xargs -r touch \
    && cargo build --release --locked --features object-store
COPY src src
# A checkout can be older than the layer above, and cargo goes by time.
RUN find src -type f -exec touch {} + \
    && cargo build --release --locked --features object-store

FROM docker.io/library/debian:bookworm-slim
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="waybill" \
      org.opencontainers.image.description="Answers tracking questions from a CSV export: one process, all in memory" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /src/target/release/waybill /usr/local/bin/waybill
# Whom to trust when data comes over https; SSL_CERT_FILE names others.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0644 seed_data.csv /usr/share/waybill/seed_data.csv
# Mount the directory that holds the export on /data and point WAYBILL_DATA into it: a mount
# of the one file would pin its inode, and a rename over it would never be seen.
WORKDIR /data
# The admin listener keeps to the container's own loopback: reload with `docker kill --signal HUP`.
ENV WAYBILL_DATA=/usr/share/waybill/seed_data.csv \
    WAYBILL_LISTEN=0.0.0.0:8080 \
    WAYBILL_ADMIN_LISTEN=127.0.0.1:8081
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["waybill", "health"]
ENTRYPOINT ["waybill"]
CMD ["serve"]
