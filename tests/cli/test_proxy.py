"""``pannier proxy``, before a stand-in for the server."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.commands import LIMIT, environment, pannier

CONFIG = f"""
[storage-proxy]
secret = "{"t" * 43}"
session-expire = "1d"
num-proc = 2
[api.client]
service-addr = "127.0.0.1:0"
[api.manager]
service-addr = "127.0.0.1:0"
secret = "{"m" * 43}"
[volume.local]
backend = "posix"
path = "/"
"""


def test_a_start_says_what_is_in_force_on_stderr(tmp_path: Path) -> None:
    """Listeners, volumes, warnings; a signal stops it."""
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "tests.cli.fake_server", "proxy", "--config", str(config)]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "")
    assert first.endswith(": 1 volume\n")
    assert "  internal  http://127.0.0.1:16023\n  volume    local: posix /\n" in err
    assert "  warning   storage-proxy.num-proc: accepted, not used yet\n" in err
    assert "ttt" not in err
    assert "mmm" not in err


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    """With one line a mistake and exit 1."""
    (tmp_path / "c.toml").write_text(CONFIG.replace("1d", "soon"))
    done = pannier("proxy", "--config", "c.toml", home=tmp_path, module="tests.cli.fake_server")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pannier: storage-proxy.session-expire: 'soon' cannot be used: a duration reads ")
