"""bench: results tables of image classification, made from real runs."""

__version__ = "0.1.0"
