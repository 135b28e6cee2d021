"""Every metric by name: what is counted, in which unit, by which labels. Imports nothing of ours.

They belong to the process, as Prometheus wants it. Labels are of few values that the server itself chooses: templates
of routes, never paths; names of volumes, never folders; no token. Everything is counted once, where it ends, not by
chunk.
"""

from __future__ import annotations

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of ``render()``."""

REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # a time for each series, which nobody reads

_PREFIX = "pannier"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(name, documentation, labels, namespace=_PREFIX, registry=REGISTRY)


def _gauge(name: str, documentation: str, *labels: str) -> Gauge:
    return Gauge(name, documentation, labels, namespace=_PREFIX, registry=REGISTRY)


def _histogram(name: str, documentation: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, documentation, labels, namespace=_PREFIX, registry=REGISTRY, buckets=buckets)


# ---------------------------------------------------------------- requests

REQUESTS = _counter(
    "requests",
    "Requests that were answered; 499: the client left before. Route is the template, or none.",
    "listener",
    "method",
    "route",
    "status",
)
REQUEST_SECONDS = _histogram(
    "request_seconds",
    "From the request's headers to the last byte of its answer.",
    "listener",
    "route",
    buckets=(0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600, 3600),
)
SENT_BYTES = _counter("sent_bytes", "Bytes of bodies that left.", "listener", "route")
UNREADABLE = _counter("unreadable_requests", "Connections that brought something which is no HTTP.")
REFUSED = _counter("refused", "Requests refused by a limit, by the setting that says it; fixed: by none.", "limit")
DROPPED = _counter(
    "dropped_clients",
    "Clients that were not waited for: head, body (of a request that trickled), answer.",
    "waited_for",
)

# ---------------------------------------------------------------- downloads

STREAMS = _gauge("streams", "Answers that are streaming now.")
RANGES = _counter("ranges", "Answers with a part of a file or archive (206).")
RESUMES = _counter("resumes", "Those of them that do not begin at the first byte.")
ABORTS = _counter(
    "aborts",
    "Streams that ended early: client_left, client_stalled, source_changed, volume_failed, revoked and spent (of their "
    "links), stopped (by the server's end), bug.",
    "cause",
)
SESSIONS_REVOKED = _counter("sessions_revoked", "Links that were revoked.")
SESSIONS_SPENT = _counter("sessions_spent", "Links for a single download that were spent.")
PLANS = _gauge("plans", "Walks for plans that are running now.")
PLAN_SECONDS = _histogram(
    "plan_seconds", "How long a walk for a plan took.", buckets=(0.001, 0.01, 0.05, 0.25, 1, 5, 15, 60, 300)
)
PLAN_ENTRIES = _histogram(
    "plan_entries", "Entries of a plan that was made.", buckets=(1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
)
CHECKSUMS = _counter(
    "checksums", "Checksums needed ahead of their content: hit, known; miss, the content was read for it.", "result"
)
CHECKSUM_MISMATCHES = _counter("checksum_mismatches", "Checksums that were kept and that content contradicted.")

# ---------------------------------------------------------------- uploads and background work

UPLOADS_BEGUN = _counter("uploads_begun", "Uploads that were begun.")
UPLOADS_FINISHED = _counter("uploads_finished", "Uploads whose file has appeared.")
UPLOADS_ABORTED = _counter("uploads_aborted", "Requests with bytes of an upload that ended early; most go on later.")
UPLOAD_BYTES = _counter("upload_bytes", "Bytes of uploads that were made durable.")
TASKS = _gauge("tasks", "Background tasks that this process works on now.")
TASKS_ENDED = _counter("tasks_ended", "Background tasks that have ended, by outcome: done, failed.", "outcome")

# ---------------------------------------------------------------- the process

HEALTHY = _gauge("healthy", "Whether a thing that the server needs answered when it was asked last.", "group", "name")
DRAINING = _gauge("draining", "Whether the server is stopping and takes no new work.")
BUILD = Info("build", "What runs here.", namespace=_PREFIX, registry=REGISTRY)

ProcessCollector(registry=REGISTRY)


def tell_build(version: str) -> None:
    """Say which version runs."""
    BUILD.info({"version": version, "python": platform.python_version()})


def request_ended(listener: str, method: str, route: str, status: int, sent: int, seconds: float) -> None:
    """Count a request at its end: ``sent`` are bytes of its body, ``route`` is a template or ``none``."""
    REQUESTS.labels(listener, method if method in _METHODS else "other", route, str(status)).inc()
    REQUEST_SECONDS.labels(listener, route).observe(seconds)
    if sent:
        SENT_BYTES.labels(listener, route).inc(sent)


def limit_of(setting: str) -> str:
    """Return the label of a limit: the setting that says it, ``fixed`` where none does."""
    return "fixed" if setting.startswith("none") else setting


def looked_up(hits: int, misses: int) -> None:
    """Count checksums that were asked for."""
    if hits:
        CHECKSUMS.labels("hit").inc(hits)
    if misses:
        CHECKSUMS.labels("miss").inc(misses)


def render() -> bytes:
    """Return all of it as Prometheus reads it. Reads ``/proc``: call it in a thread."""
    return generate_latest(REGISTRY)
