"""The examples of ``docs/sdk.md`` run as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest

from pannier.sdk import Folder, Manager
from pannier.sdk.filesystem import PannierFileSystem
from tests.e2e.running import Pannier

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SEA = b"waves"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("page") / "trip"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "sea.txt").write_bytes(SEA)
    for number in range(4):
        (folder / f"{number}.txt").write_text("x" * number)
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) == 8


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.strip().splitlines()[-1][:40])
def test_examples_run(
    example: str, server: Pannier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fsspec.register_implementation("pannier", PannierFileSystem, clobber=True)
    monkeypatch.chdir(tmp_path)
    minted = server.mint()
    server.session(minted["session"], "DELETE")
    revoked = f"{server.client_url}/download-archive?token={minted['token']}"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/sky.txt").write_text("blue")
    told, (folder,) = server.runtime, server.runtime["folders"]
    with Manager(told["manager_url"], told["manager_secret"]) as manager:
        place = manager.uploads.create(Folder(folder["volume"], folder["folder_id"]), "sent")
    given = {"url": server.url(), "revoked": revoked, "place": place, "manager_url": told["manager_url"]}
    given |= {"secret": told["manager_secret"], "volume": folder["volume"], "folder_id": folder["folder_id"]}
    exec(f"from pannier.sdk import Client\n{example}", given)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    expected = {
        "trip.zip": "every CRC-32 agrees",
        "show(": "100%",
        "extract": "5 11",
        "zipfile": f"{SEA!r}\n{SEA!r}\n",
        "fsspec": f"['photos/sea.txt'] {SEA!r}\n",
        "upload(": "1 [] []\n",
        "Manager(": "1 True ['0.txt'",
        "LinkOver": "session-revoked this link was revoked",
    }
    wanted = [text for word, text in expected.items() if word in example]
    assert any(text in said for text in wanted), said
