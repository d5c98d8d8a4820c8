# Built by `make image` from dist/: the wheel, its dependencies with hashes, and the bill of materials. No source tree gets in.
# The base is only asked for Python 3.11 or newer with pip, and CA certificates.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
COPY dist/requirements.txt dist/tocsin-*.whl /build/
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-compile --only-binary :all: --require-hashes \
        --target /opt/tocsin --requirement /build/requirements.txt \
    # --upgrade: only Tocsin's own commands stay in bin/.
    && python3 -m pip install --no-cache-dir --disable-pip-version-check --no-compile --no-deps --upgrade \
        --target /opt/tocsin /build/tocsin-*.whl \
    # Bytecode that trusts its hash, not a file's time: the image can be built again, and nothing is written when it runs.
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/tocsin

FROM ${BASE}
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="Tocsin" \
      org.opencontainers.image.description="Alert flow as Kubernetes resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/tocsin-dev/tocsin" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /opt/tocsin /opt/tocsin
COPY dist/tocsin-*.cdx.json /usr/share/doc/tocsin/sbom.cdx.json
COPY --chown=65532:65532 release/empty /var/lib/tocsin
ENV PYTHONPATH=/opt/tocsin \
    PATH=/opt/tocsin/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Not the folder of any source tree, so that nothing there can shadow a module.
WORKDIR /var/lib/tocsin
# A number: Kubernetes' runAsNonRoot cannot check a name.
USER 65532:65532
EXPOSE 8080 8081 8082 9443
ENTRYPOINT ["tocsin"]
