"""The documents that the listeners serve of themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.live import SECRET, live

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"


@pytest.mark.parametrize("name", ["client", "manager"])
async def test_what_is_served_is_what_is_checked_in(tmp_path: Path, name: str) -> None:
    async with live(tmp_path) as it:
        base = it.listening.client_url if name == "client" else it.listening.manager_url
        answer = await it.ask("GET", f"{base}/openapi.json", X_BackendAI_Storage_Auth_Token=SECRET)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.body == (DOCUMENTS / f"{name}.json").read_bytes(), "run: make openapi"


async def test_the_manager_is_not_described_to_strangers(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        assert (await it.ask("GET", f"{it.listening.manager_url}/openapi.json")).status == 403


async def test_a_document_below_a_prefix_says_where_it_is(tmp_path: Path) -> None:
    async with live(tmp_path, api={"client": {"path_prefix": "/files"}}) as it:
        answer = await it.ask("GET", f"{it.listening.client_url}/openapi.json")
        assert answer.json["servers"] == [{"url": "/files"}]
        assert "/download-archive" in answer.json["paths"]
        same = json.loads((DOCUMENTS / "client.json").read_bytes())
        assert answer.json["paths"] == same["paths"]
