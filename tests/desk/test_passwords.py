"""Passwords, doors that are slow to who was often wrong, and how a download stands in a word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pannier.accounts import Account
from pannier.denials import PasswordLocked
from pannier.desk.downloads import word
from pannier.dto.desk import Word
from pannier.services.passwords import Doors, digest, matches
from pannier.services.standings import state_of
from pannier.state.sessions import Broken, NewSession, key_of
from pannier.window import Window

NEW = NewSession(key_of("a"), "v", "0" * 32, "x.zip", "zip", 1_000, 0, None, times=0).begun(0.0)
PART = Account('"a"', 10).deliver(Window(0, 5))
WHOLE = Account('"a"', 10).deliver(Window(0, 10))
CHANGED = Broken(1.0, "source-changed", "it was written to", b"a", 5)


def test_a_digest_tells_its_password_and_no_other() -> None:
    kept = digest("비밀번호 1")
    assert matches("비밀번호 1", kept)
    assert not matches("비밀번호 2", kept)
    assert digest("비밀번호 1") != kept
    assert "비밀번호" not in kept


def test_a_door_is_slower_with_each_wrong_try_and_forgets_after_the_right_one() -> None:
    now = 0.0
    doors = Doors(lambda: now)
    waits = []
    for _ in range(15):
        try:
            doors.knock("a")
        except PasswordLocked as error:
            waits.append(error.retry_after)
            now += error.retry_after
            doors.knock("a")
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    doors.knock("b")  # who comes from elsewhere is not kept waiting
    now += 300
    doors.knock("a")
    doors.open("a")
    for _ in range(5):
        doors.knock("a")
    with pytest.raises(PasswordLocked):
        doors.knock("a")
    now += 3_601
    doors.knock("a")  # what was wrong long ago is forgotten


def test_a_try_at_two_doors_counts_at_both_or_at_none() -> None:
    doors = Doors(lambda: 0.0)
    for _ in range(5):
        doors.knock("link", "x")
    for _ in range(9):
        with pytest.raises(PasswordLocked):
            doors.knock("link", "y")
    doors.knock("y")


@pytest.mark.parametrize(
    ("session", "running", "expected"),
    [
        (NEW, 0, Word.WAITING),
        (NEW, 1, Word.RUNNING),
        (replace(NEW, account=PART), 0, Word.INTERRUPTED),
        (replace(NEW, account=PART), 2, Word.RUNNING),
        (replace(NEW, account=PART, broken=CHANGED), 0, Word.STOPPED),
        (replace(NEW, account=PART, broken=replace(CHANGED, cause="source-unreadable")), 0, Word.INTERRUPTED),
        (replace(NEW, account=WHOLE, completed=5.0), 0, Word.SENT),
        (replace(NEW, account=WHOLE, completed=5.0), 1, Word.RUNNING),
        (replace(NEW, account=WHOLE, completed=5.0, spent=5.0, times=1), 0, Word.SENT),
        (replace(NEW, revoked=5.0), 0, Word.REVOKED),
        (replace(NEW, expires=5), 0, Word.EXPIRED),
    ],
)
def test_how_a_download_stands_in_a_word(session: object, running: int, expected: Word) -> None:
    assert isinstance(session, type(NEW))
    assert word(session, state_of(session, 10.0), running) is expected
