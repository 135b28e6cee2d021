"""What the process counts, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pannier import metrics
from pannier.api.handlers import Answered, ApiDocument, api_handler
from pannier.api.routes import Route


class Metrics:
    """The handler of ``/metrics``."""

    def routes(self) -> Iterable[Route]:
        return [Route("GET", "/metrics", self.scrape, {200: "text/plain"}, head=True)]

    @api_handler
    async def scrape(self) -> Answered:
        """``GET /metrics``: all metrics, in Prometheus' text format."""
        return ApiDocument(await asyncio.to_thread(metrics.render), metrics.CONTENT_TYPE)
