"""Writes the reference of commands in cli.md again, from the commands themselves: `make commands`."""

from __future__ import annotations

from pathlib import Path

from pannier.cli.reference import commands_reference

PAGE = Path(__file__).with_name("cli.md")
BEGIN, END = "<!-- made by `make commands` -->\n", "<!-- end of what is made -->\n"

before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
_, _, after = rest.partition(END)
PAGE.write_text(f"{before}{BEGIN}\n{commands_reference()}\n\n{END}{after}", encoding="utf-8")
