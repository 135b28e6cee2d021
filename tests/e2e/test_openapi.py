"""Both APIs are as their OpenAPI documents say, whatever is sent to them: schemathesis against a real proxy."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.cli.commands import ask
from tests.e2e.proxying import FOLDER, FOLDER_PATH, MANAGER_SECRET, Proxy, proxying, toml

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
RELAXED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
TUS = {
    "Tus-Resumable": "1.0.0",
    "Upload-Offset": "0",
    "Upload-Length": "4",
    "Upload-Metadata": "filename Zg==",
}
SECRET = {"X-BackendAI-Storage-Auth-Token": MANAGER_SECRET}


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(context: schemathesis.SerializationContext, value: Any) -> Any:
    """Bytes of an upload are what they are."""
    return value if isinstance(value, bytes) else str(value).encode()


client = schemathesis.openapi.from_dict(json.loads((DOCUMENTS / "client.json").read_bytes()))
manager = schemathesis.openapi.from_dict(json.loads((DOCUMENTS / "manager.json").read_bytes()))
turn = itertools.count()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def proxy(volume: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    plant(volume)
    with proxying(tmp_path_factory.mktemp("home"), toml(volume)) as running:
        yield running


def plant(volume: Path) -> None:
    """Have a file and a directory there, whatever was renamed or deleted before."""
    folder = volume / FOLDER_PATH
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    if not (folder / "a.txt").is_file():
        (folder / "a.txt").write_text("a" * 10_000)


def query(proxy: Proxy, case: Case[Any]) -> dict[str, Any]:
    """Return a query that the client-facing route takes."""
    place, path = {"volume": "local", "vfid": FOLDER}, case.operation.path
    upload = {**place, "relpath": f"up/{uuid.uuid4()}", "size": 4}
    match path:
        case "/download":
            return {"token": proxy.manage("/folder/file/download", {**place, "relpath": "a.txt"}).document["token"]}
        case "/download-archive":
            return {"token": proxy.mint("a.txt", "docs", formats=["zip", "tar", "tar.zst"])["token"]}
        case "/upload":
            return {"token": proxy.manage("/folder/file/upload", upload).document["token"]}
        case "/uploads":
            token = proxy.manage("/folder/file/upload", {**upload, "multiple": True}).document["token"]
            if case.method == "POST":
                return {"token": token}
            begun = ask(f"{proxy.said('client')}/uploads?token={token}", "POST", headers=TUS)
            return {"token": begun.headers["location"].rpartition("=")[2]}
        case _:
            return {}


def check(case: Case[Any], url: str, headers: Mapping[str, str]) -> None:
    response = case.call(base_url=url, headers=dict(headers), timeout=60)
    assert response.status_code != 500, response.text
    case.validate_response(response, checks=CHECKS)


def ask_client(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    """Every second time with a token that is valid, and every second time of these with headers that are, too."""
    number = next(turn)
    if number % 2 and isinstance(case.query, dict):
        plant(volume)
        good = query(proxy, case)
        case.query = {**case.query, **good} if number % 4 == 1 else good
        if number % 4 == 3 and case.operation.path.startswith("/upload"):
            case.headers.update(TUS)
    check(case, proxy.said("client"), {})


def ask_manager(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    """Three times of four about the volume and the folder that are there, as far as the body is an object."""
    number = next(turn)
    if number % 4 and isinstance(case.body, dict):
        plant(volume)
        known = {"volume": "local", "vfid": FOLDER, "virtual_folder_id": FOLDER, "qsid": FOLDER.partition("/")[0]}
        if number % 4 > 1:
            known |= {
                "relpath": "a.txt" if number % 8 > 3 else ".",
                "src_relpath": "a.txt",
                "dst_relpath": f"moved-{number}",
            }
            known |= {"new_name": f"renamed-{number}"}
        case.body.update({name: value for name, value in known.items() if name in case.body})
    check(case, proxy.said("manager"), SECRET)


@client.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=RELAXED)
def test_the_client_facing_api(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    ask_client(proxy, volume, case)


@manager.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=RELAXED)
def test_the_manager_facing_api(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    ask_manager(proxy, volume, case)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@client.parametrize()
@settings(max_examples=400, deadline=None, suppress_health_check=RELAXED)
def test_the_client_facing_api_at_length(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    ask_client(proxy, volume, case)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@manager.parametrize()
@settings(max_examples=400, deadline=None, suppress_health_check=RELAXED)
def test_the_manager_facing_api_at_length(proxy: Proxy, volume: Path, case: Case[Any]) -> None:
    ask_manager(proxy, volume, case)
