"""Tracking: journals -> MLflow runs, and MLflow runs -> outcomes. The only place where mlflow is imported, lazily."""

from bench.tracking.forward import Forwarder
from bench.tracking.runs import Store
from bench.tracking.ui import serve_ui
from bench.tracking.uri import redact, resolve_uri, store_exists

__all__ = ["Forwarder", "Store", "redact", "resolve_uri", "serve_ui", "store_exists"]
