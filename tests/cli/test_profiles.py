"""Servers that are named: by URL, by profile, by volume and id; secrets from files that only their owner can read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Server, serving
from tests.cli.here import Run, at_home


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of another user, so to speak: its runtime file is not where commands look."""
    home = tmp_path_factory.mktemp("away")
    for name in ("trip/2026", "volume"):
        (home / name).mkdir(parents=True)
    (home / "trip/2026/a.txt").write_text("a")
    settings = {"PANNIER_VOLUME__SHARED__BACKEND": "vfs", "PANNIER_VOLUME__SHARED__PATH": str(home / "volume")}
    with serving(home, home / "trip", settings=settings) as server:
        yield server


@pytest.fixture
def run(away: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("PANNIER_SECRET_FILE", raising=False)
    (tmp_path / ".config/pannier").mkdir(parents=True)
    private(tmp_path / ".config/pannier/away.secret", away.runtime()["manager_secret"] + "\n")
    return at_home(tmp_path, monkeypatch, capfd)


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def profiles(home: Path, text: str) -> Path:
    return private(home / ".config/pannier/client.toml", text)


def test_a_server_is_named_by_its_url(run: Run, away: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret comes from a file, or the environment; the server says the rest itself."""
    url = away.runtime()["manager_url"]
    secret = tmp_path / ".config/pannier/away.secret"
    assert run("ls", "--server", url, "--secret-file", secret, "trip").out.endswith("2026/\n")
    assert run("ls", "--server", url).err.startswith("pannier: the manager's secret is needed; give it with")
    monkeypatch.setenv("PANNIER_SECRET", "wrong" * 10)
    wrong = run("ls", "--server", url, "trip", "--json")
    assert (wrong.code, wrong.document["problem"]["type"]) == (1, "storage/forbidden")
    monkeypatch.setenv("PANNIER_SECRET", secret.read_text().strip())
    made = run("link", "--token", "--server", url, "trip/2026")
    assert made.out.startswith(away.runtime()["client_url"])
    (tmp_path / "b.txt").write_text("b")
    assert run("put", "--server", url, "b.txt", "trip/2026/").code == 0
    assert (away.home / "trip/2026/b.txt").read_text() == "b"
    assert run("ls", "--server", "nas.example").code == 2


def test_a_profile_names_a_server_and_folders_of_it(run: Run, away: Server, tmp_path: Path) -> None:
    url = away.runtime()["manager_url"]
    folder = uuid.uuid4().hex
    (away.home / "volume" / folder[:2] / folder[2:4] / folder[4:]).mkdir(parents=True)
    text = f'default = "away"\n[profile.away]\nmanager = "{url}"\nsecret-file = "away.secret"\n'
    profiles(tmp_path, text + f'[profile.away.folder]\nmine = "shared/{folder}"\n')
    assert [each["name"] for each in run("ls", "--json").document["folders"]] == ["mine", "trip"]
    assert run("mkdir", "mine/new").out == "made mine/new\n"
    assert run("ls", f"shared/{folder}").out.endswith("new/\n")
    assert run("ls", "--profile", "home").err.startswith(f"pannier: '{tmp_path}/.config/pannier/client.toml' has no")


def test_who_has_a_token_of_uploads_needs_no_secret(run: Run, away: Server, tmp_path: Path) -> None:
    told = away.runtime()
    folder = told["folders"][0]
    from pannier.sdk.calls import Folder
    from pannier.sdk.manager import Manager

    with Manager(told["manager_url"], told["manager_secret"]) as manager:
        url = manager.uploads.create(Folder(folder["volume"], folder["folder_id"]), "dropped")
    private(tmp_path / ".config/pannier/drop.token", url.partition("token=")[2])
    profiles(tmp_path, f'[profile.drop]\nurl = "{told["client_url"]}"\ntoken-file = "drop.token"\n')
    (tmp_path / "c.txt").write_text("c")
    assert run("put", "--profile", "drop", "c.txt", "from-me").code == 0
    assert (away.home / "trip/dropped/from-me/c.txt").read_text() == "c"
    assert run("ls", "--profile", "drop").code == 1


@pytest.mark.parametrize(
    ("mode", "text", "told"),
    [
        (0o644, "", "others can read this file of secrets"),
        (0o600, "[profile.x", "is no TOML"),
        (0o600, '[profile.x]\nsecret = "s"\n', "profile.x.secret: there is no such setting; a profile has: manager, "),
        (0o600, 'default = "x"\n[profile.x]\n', "names no manager"),
        (0o600, 'default = "x"\n[profile.x]\nmanager = "nas"\n', "is no url"),
    ],
)
def test_a_file_of_profiles_that_is_wrong_is_one_line(
    run: Run, tmp_path: Path, mode: int, text: str, told: str
) -> None:
    profiles(tmp_path, text).chmod(mode)
    done = run("ls", "--profile", "x")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert told in done.err


def test_a_secret_that_others_can_read_is_refused(run: Run, away: Server, tmp_path: Path) -> None:
    path = private(tmp_path / "secret", "s" * 43)
    path.chmod(0o640)
    done = run("ls", "--server", away.runtime()["manager_url"], "--secret-file", path)
    assert (done.code, "others can read this file of secrets" in done.err) == (1, True)


def test_shells_complete_commands_and_paths(
    run: Run, away: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pannier.cli.completing import complete_path

    for shell in ("bash", "zsh", "fish"):
        assert "_PANNIER_COMPLETE" in run("completion", shell).out
    assert run("completion", "tcsh").code == 2
    url = away.runtime()["manager_url"]
    profiles(tmp_path, f'default = "a"\n[profile.a]\nmanager = "{url}"\nsecret-file = "away.secret"\n')
    assert complete_path("tr") == ["trip/"]
    assert complete_path("trip/20") == ["trip/2026/"]
    assert complete_path("trip/2026/a") == ["trip/2026/a.txt"]
    assert complete_path("nowhere/") == []
    monkeypatch.setenv("_PANNIER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pannier ls trip/20")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        run("ls")
