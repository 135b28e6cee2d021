"""Sign-in addresses in the terminal of ``pannier serve``: one at the start, and more by keys pressed there."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from typing import TYPE_CHECKING

from pannier.cli.terminal import announce

if TYPE_CHECKING:
    from pannier.services.signing_in import SigningIn

_BACKGROUND_SECONDS = 1.0
"""How often is looked whether a process in the background has its terminal back."""


def show_keys(signing_in: SigningIn, base: str) -> None:
    """Show the first sign-in address, and listen for more: a new one for each ``Enter``, as a QR code for ``q``.

    Called on the server's event loop, which reads the keys where stdin is a terminal.
    """
    terminal = _is_terminal()
    more = "; Enter makes a new one, q and Enter shows a QR code" if terminal else ""
    announce(f"  sign in   {new_address(signing_in, base)}    (once, within 15 min{more})")
    if not terminal:
        return
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if os.tcgetpgrp(descriptor) != os.getpgrp():  # in the background, to read would stop the process
            loop.remove_reader(descriptor)
            loop.call_later(_BACKGROUND_SECONDS, loop.add_reader, descriptor, pressed)
            return
        try:
            line = os.read(descriptor, 1_024)
        except OSError:
            line = b""
        if not line:  # the terminal is gone, or Ctrl-D was pressed: the server goes on
            loop.remove_reader(descriptor)
            return
        address = new_address(signing_in, base)
        announce(f"  sign in   {address}")
        if line.strip().lower() == b"q":
            announce(qr_code(address))

    loop.add_reader(descriptor, pressed)


def new_address(signing_in: SigningIn, base: str) -> str:
    """Return an address that signs in, once."""
    return f"{base}/enter?key={signing_in.new_key()}"


def qr_code(text: str) -> str:
    """Return a QR code of text, drawn with half blocks."""
    import segno

    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True)
    return out.getvalue().rstrip("\n")


def _is_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False
