"""A gateway's health and metrics, as far as the settings enable them."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric

from moonx_pipeline.gateway.callers import Gateway
from moonx_pipeline.gateway.exporter import Exporter
from moonx_pipeline.gateway.health import Health
from moonx_pipeline.gateway.routes import health, metrics
from moonx_pipeline.metrics.gauges import gauge


class Monitoring:
    """Health and metrics of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Reads nothing before ``start``."""
        self._live = gateway.live
        self._settings = gateway.settings.monitoring
        self._health = Health(gateway)
        self._exporter = Exporter(gateway.engine, gateway.settings)

    def add_routes(self, app: FastAPI) -> None:
        """Adds the routes that the settings enable."""
        if self._settings.health_checks:
            app.state.health = self._health
            app.include_router(health.router)
        if self._settings.prometheus:
            app.state.metrics = self._registry()
            app.include_router(metrics.router)

    def _registry(self) -> CollectorRegistry:
        """The process's metrics and this gateway's own."""
        registry = CollectorRegistry()
        registry.register(REGISTRY)
        registry.register(self)
        registry.register(self._exporter)
        if self._settings.health_checks:
            registry.register(self._health.readiness)
        return registry

    def collect(self) -> Iterator[Metric]:
        """The gateway's own gauges."""
        yield gauge("websocket_connections", self._live.connections)

    def start(self) -> None:
        """Starts the exporter and the health checks."""
        if self._settings.health_checks:
            self._health.readiness.watch(self._settings.health_interval_ms / 1000)
        if self._settings.prometheus:
            self._exporter.start()

    def stop(self) -> None:
        """Stops what ``start`` began."""
        self._exporter.stop()
