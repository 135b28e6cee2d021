"""Writes the tables of configuration.md again, from the settings themselves: `make configuration`."""

from __future__ import annotations

from pathlib import Path

from pannier.config.reference import settings_reference

PAGE = Path(__file__).with_name("configuration.md")
BEGIN, END = "<!-- made by `make configuration` -->\n", "<!-- end of what is made -->\n"

before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
_, _, after = rest.partition(END)
PAGE.write_text(f"{before}{BEGIN}\n{settings_reference()}\n{END}{after}", encoding="utf-8")
