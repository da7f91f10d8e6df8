# Rushhour as a replayer for pipelines: no mitmproxy, no browser. With the demo's target: --build-arg EXTRAS=[demo]
FROM python:3.12-slim AS build
ARG EXTRAS=""
WORKDIR /source
COPY . .
RUN python -m venv /opt/rushhour && /opt/rushhour/bin/pip install --no-cache-dir ".${EXTRAS}"

FROM python:3.12-slim
COPY --from=build /opt/rushhour /opt/rushhour
ENV PATH=/opt/rushhour/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 rushhour && mkdir /runs && chown rushhour /runs
USER rushhour
WORKDIR /home/rushhour
VOLUME /runs
ENTRYPOINT ["rushhour"]
CMD ["--help"]
