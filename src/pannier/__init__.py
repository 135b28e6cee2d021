"""Pannier, a storage proxy: any selection of a folder as one resumable ZIP over HTTP."""

__version__ = "0.1.0"
