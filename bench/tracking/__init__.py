"""Tracking: journals become MLflow runs, and MLflow runs become outcomes.

The only package that imports mlflow, and only when a store must be written or cannot be read without it.
"""

from bench.tracking.forward import Forwarder
from bench.tracking.runs import Store
from bench.tracking.ui import serve_ui
from bench.tracking.uri import redact, resolve_uri, store_exists

__all__ = ["Forwarder", "Store", "redact", "resolve_uri", "serve_ui", "store_exists"]
