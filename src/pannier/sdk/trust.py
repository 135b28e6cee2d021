"""Whom a client trusts when it speaks TLS."""

from __future__ import annotations

import ssl
from pathlib import Path


def authorities(pem: Path) -> ssl.SSLContext:
    """Trust what the certificates in a PEM file vouch for, and nobody else.

    Raises:
        OSError, ssl.SSLError: The file cannot be read, or holds none.
    """
    return ssl.create_default_context(cafile=str(pem))


def only(certificate: str) -> ssl.SSLContext:
    """Trust this one certificate (PEM), whoever issued it and for whatever name.

    Raises:
        ssl.SSLError: It is none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context
