"""What the plain pages say, in English and Korean; refusals too, one for each type of problem.

Korean: 해요체 in sentences, noun forms on buttons, and no particle right after a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")

WORDS: Mapping[str, tuple[str, str]] = {
    "folders": ("Folders", "폴더"),
    "my_links": ("My links", "내 링크"),
    "sign_in": ("Sign in", "로그인"),
    "sign_out": ("Sign out", "로그아웃"),
    "sign_in_title": ("Sign in to Pannier", "Pannier 로그인"),
    "sign_in_here": ("Sign in on this device", "이 기기에서 로그인"),
    "on_host": ("on {host}", "{host}"),
    "one_time_key": ("One-time key", "일회용 키"),
    "password": ("Password", "비밀번호"),
    "or_password": ("or with the password", "또는 비밀번호로"),
    "key_hint": (
        "Key used or too old? Press Enter in the terminal for a new one.",
        "이미 썼거나 오래된 키인가요? 터미널에서 Enter를 누르면 새로 받을 수 있어요.",
    ),
    "skip": ("Skip to the content", "본문으로 이동"),
    "name": ("Name", "이름"),
    "size": ("Size", "크기"),
    "modified": ("Modified", "수정한 날짜"),
    "utc": ("Times are in UTC.", "시각은 UTC 기준이에요."),
    "select": ("Select {name}", "{name} 선택"),
    "link_to": ("link to {target}", "링크 → {target}"),
    "link_out": ("link that leads outside or nowhere", "폴더 밖이나 없는 곳을 가리키는 링크"),
    "special": ("not a file or folder", "파일이나 폴더가 아님"),
    "special-file": ("not a file or folder", "파일이나 폴더가 아님"),
    "empty": ("This folder is empty.", "빈 폴더예요."),
    "entries_here": ("{n} entries here", "여기에 항목 {n}개"),
    "entry_here": ("1 entry here", "여기에 항목 1개"),
    "count": ("Count", "계산"),
    "count_hint": (
        "Select files or folders and count them: the exact size comes before the download.",
        "파일이나 폴더를 고르고 계산하면, 다운로드하기 전에 정확한 크기를 볼 수 있어요.",
    ),
    "nothing_selected": ("Nothing is selected.", "고른 항목이 없어요."),
    "previous": ("Previous page", "이전 페이지"),
    "next": ("Next page", "다음 페이지"),
    "page_of": ("page {n} of {m}", "{m}페이지 중 {n}페이지"),
    "parent": ("Parent folder", "상위 폴더"),
    "plan": ("What you will get", "받을 내용"),
    "decision": ("Needs your decision", "결정이 필요해요"),
    "entries": ("Entries", "항목"),
    "contents": ("Contents", "내용"),
    "archive": ("Archive", "압축 파일"),
    "entries_size": ("{n} entries · {size}", "항목 {n}개 · {size}"),
    "entry_size": ("1 entry · {size}", "항목 1개 · {size}"),
    "exactly": ("archive is exactly {bytes}, can be resumed", "압축 파일 크기는 정확히 {bytes}, 이어받기 가능"),
    "size_unknown": (
        "archive size known at the end, starts over if cut",
        "크기는 다 받아야 알 수 있고, 끊기면 처음부터 다시 받아야 해요",
    ),
    "renamed": ("Renamed in the archive only", "압축 파일 안에서만 이름 바뀜"),
    "refused_of": (
        "{n} of {m} entries cannot be included. Nothing was sent.",
        "항목 {m}개 중 {n}개를 담을 수 없어요. 아직 아무것도 보내지 않았어요.",
    ),
    "leave_out": ("Leave out {n} and count again", "{n}개를 빼고 다시 계산"),
    "and_more": ("and {n} more", "외 {n}개"),
    "format": ("Format", "형식"),
    "download": ("Download", "다운로드"),
    "download_file": ("Download file", "파일 다운로드"),
    "back": ("Back", "뒤로"),
    "folders_hint": ("Open one to look into it.", "열어 볼 폴더를 선택해 주세요."),
    "folders_read_only": (
        "Open one to look into it. Nothing here can be changed.",
        "열어 볼 폴더를 선택해 주세요. 내용은 바꿀 수 없어요.",
    ),
    "with_key": ("Sign in with a one-time key", "일회용 키로 로그인"),
    "show": ("Show", "보기"),
    "copy": ("Copy", "복사"),
    "copied": ("Copied", "복사됨"),
    "until": ("until {time} UTC", "{time} UTC까지"),
    "until_here": ("until {time} (in {left})", "{time}까지({left} 남음)"),
    "deliveries_left": ("{n} deliveries left", "남은 전달 {n}회"),
    "delivery_left": ("1 delivery left", "남은 전달 1회"),
    "inside": ("What is inside", "들어 있는 항목"),
    "left_out": ("Left out by the sender: {n}", "보낸 사람이 뺀 항목: {n}개"),
    "terminal": ("From a terminal (curl, wget, aria2c)", "터미널에서 받기(curl, wget, aria2c)"),
    "resume_hint": (
        "If it breaks off, resume it in your browser; it goes on where it stopped.",
        "중간에 끊겨도 브라우저에서 이어받을 수 있어요.",
    ),
    "show_contents": ("Show what is inside", "들어 있는 항목 보기"),
    "request_title": ("Files wanted", "파일 요청"),
    "request_hint": (
        "Put files here. Nobody who has this link can see them afterwards.",
        "여기에 파일을 올려 주세요. 올린 파일은 이 링크로 다시 볼 수 없어요.",
    ),
    "open_until": ("Open until {time} UTC", "{time} UTC까지"),
    "open_until_here": ("Open until {time} (in {left})", "{time}까지({left} 남음)"),
    "up_to": ("up to {size} a file", "파일 하나에 {size}까지"),
    "room_left": ("{size} left", "남은 공간 {size}"),
    "files_left": ("{n} more files", "남은 파일 {n}개"),
    "choose_files": ("Files", "파일"),
    "send": ("Upload", "업로드"),
    "cannot_resume": ("A file sent this way cannot be resumed.", "이 방법으로 보내면 이어 올릴 수 없어요."),
    "received": ("Received: {name} · {size}", "받음: {name} · {size}"),
    "public": (
        "Anyone who can reach this address can read these files.",
        "이 주소에 접속할 수 있으면 누구나 파일을 볼 수 있어요.",
    ),
    "no_links": ("There are no links.", "링크가 없어요."),
    "file_requests": ("File requests", "파일 요청"),
    "no_requests": ("There are no file requests.", "파일 요청이 없어요."),
    "link_sent": (
        "sent {size} · full deliveries: {n} · running: {running}",
        "보냄 {size} · 전체 전달 {n}회 · 진행 중 {running}건",
    ),
    "link_changed": ("changed since first delivered", "처음 보낸 뒤로 바뀜"),
    "request_got": ("received: {n} files, {size}", "받음: 파일 {n}개, {size}"),
    "revoke": ("Revoke", "회수"),
    "close": ("Close", "닫기"),
    "remove": ("Remove", "목록에서 제거"),
    "open": ("open", "열림"),
    "revoked": ("revoked", "회수됨"),
    "expired": ("expired", "만료됨"),
    "spent": ("all deliveries made", "전달 완료"),
    "closed": ("closed", "닫힘"),
    "full": ("full", "가득 참"),
    "share": ("Make link", "링크 만들기"),
    "made": ("Link made", "링크를 만들었어요"),
    "page_link": ("Page", "페이지"),
    "command": ("Command", "명령"),
    "expires": ("Expires", "만료"),
    "days": ("{n} days", "{n}일"),
    "day": ("1 day", "1일"),
    "deliveries": ("Deliveries (empty: any number)", "전달 횟수(비우면 제한 없음)"),
    "optional_password": ("Password (optional)", "비밀번호(선택)"),
    "note": ("Note to the receiver", "받는 사람에게 남길 말"),
    "start_page": ("Start page", "첫 페이지"),
    "request_number": ("Request number", "요청 번호"),
    "details": ("Details", "자세히"),
    "zip": ("ZIP, exact size, can be resumed", "ZIP, 정확한 크기, 이어받기 가능"),
    "tar": ("TAR, exact size, can be resumed, no checksums", "TAR, 정확한 크기, 이어받기 가능, 체크섬 없음"),
    "zip+deflate": (
        "ZIP, smaller: size unknown, starts over if cut",
        "용량을 줄인 ZIP: 크기를 미리 알 수 없고, 끊기면 처음부터",
    ),
    "tar.gz": (
        "TAR with gzip: size unknown, starts over if cut",
        "gzip으로 압축한 TAR: 크기를 미리 알 수 없고, 끊기면 처음부터",
    ),
    "tar.zst": (
        "TAR with Zstandard: size unknown, starts over if cut",
        "Zstandard로 압축한 TAR: 크기를 미리 알 수 없고, 끊기면 처음부터",
    ),
    "outside": ("path leads outside", "폴더 밖을 가리키는 경로"),
    "link-outside": ("link leads outside", "폴더 밖을 가리키는 링크"),
    "link-dangling": ("link leads nowhere", "대상이 없는 링크"),
    "link-loop": ("link goes in a circle", "순환하는 링크"),
    "link-refused": ("is a link", "링크임"),
    "unsafe-path": ("unsafe name", "안전하지 않은 이름"),
    "missing": ("no longer there", "더 이상 없음"),
    "unreadable": ("server may not read it", "서버에 읽기 권한 없음"),
    "name-too-long": ("name too long", "이름이 너무 김"),
}

PROBLEMS: Mapping[str, tuple[str, str]] = {
    "storage/invalid-api-params": (
        "The server did not accept {field}. Reload the page; if it comes back, report the request number.",
        "서버가 {field} 값을 받아들이지 않았어요. 새로 고침해도 같으면 요청 번호를 관리자에게 알려 주세요.",
    ),
    "generic-bad-request": (
        "The server did not accept {field}. Reload the page; if it comes back, report the request number.",
        "서버가 {field} 값을 받아들이지 않았어요. 새로 고침해도 같으면 요청 번호를 관리자에게 알려 주세요.",
    ),
    "storage/vfolder/not-found": (
        "This folder is no longer there. Go back to the list of folders.",
        "이 폴더가 더 이상 없어요. 폴더 목록으로 돌아가 주세요.",
    ),
    "storage/file-not-found": (
        "“{name}” was moved or deleted. Reload this folder.",
        "‘{name}’ 항목을 찾을 수 없어요. 이동했거나 삭제한 항목일 수 있으니 폴더를 새로 고침해 주세요.",
    ),
    "storage/subpath/invalid": (
        "“{name}” leads outside this folder, so it stays closed. Choose something inside.",
        "‘{name}’ 경로는 폴더 밖을 가리켜서 열 수 없어요. 폴더 안에서 골라 주세요.",
    ),
    "operation-refused": ("The storage refused this: {detail}.", "저장소에서 거절했어요: {detail}."),
    "selection-refused": (
        "{n} of {m} entries cannot be included. Nothing was sent. Leave them out, or fix them and count again.",
        "항목 {m}개 중 {n}개를 담을 수 없어요. 아직 아무것도 보내지 않았어요. 빼고 받거나, 고친 뒤 다시 계산해 주세요.",
    ),
    "limit-exceeded": (
        "{what}: {measured}; the limit here is {limit}. Choose less, or ask to raise {setting}.",
        "{what}: {measured}. 한도: {limit}. 선택을 줄이거나 {setting} 설정을 높여 달라고 요청해 주세요.",
    ),
    "quota-exceeded": (
        "No room is left here. Delete something or choose another folder.",
        "공간이 부족해요. 항목을 지우거나 다른 폴더를 골라 주세요.",
    ),
    "storage-full": (
        "No room is left here. Delete something or choose another folder.",
        "공간이 부족해요. 항목을 지우거나 다른 폴더를 골라 주세요.",
    ),
    "source-unreadable": (
        "The storage could not read this. Tell who runs it.",
        "저장소에서 읽지 못했어요. 관리자에게 알려 주세요.",
    ),
    "link-revoked": (
        "The sender took this link back. Ask for a new one.",
        "보낸 사람이 링크를 회수했어요. 새 링크를 요청해 주세요.",
    ),
    "link-expired": (
        "This link ended on {ended}. Ask for a new one.",
        "링크가 {ended}에 만료됐어요. 새 링크를 요청해 주세요.",
    ),
    "link-spent": (
        "This link was for {deliveries} deliveries and all were made. Ask for a new one.",
        "정해진 {deliveries}회를 모두 전달한 링크예요. 새 링크를 요청해 주세요.",
    ),
    "link-not-found": (
        "There is no such link here. Check that the whole address was copied.",
        "없는 링크예요. 주소를 끝까지 복사했는지 확인해 주세요.",
    ),
    "password-wrong": ("The password is not right.", "비밀번호가 맞지 않아요."),
    "password-locked": (
        "Too many tries; next one in {retry_after} s.",
        "여러 번 틀렸어요. {retry_after}초 뒤에 다시 입력해 주세요.",
    ),
    "request-closed": (
        "This file request is closed. Ask who sent it to open a new one.",
        "파일 요청이 닫혔어요. 보낸 사람에게 새로 요청해 주세요.",
    ),
    "key-used": (
        "This sign-in key was used or is too old. Press Enter in the terminal for a new one.",
        "이미 썼거나 오래된 로그인 키예요. 터미널에서 Enter를 눌러 새로 받아 주세요.",
    ),
    "signed-out": ("You were signed out. Sign in.", "로그아웃됐어요. 다시 로그인해 주세요."),
    "cross-site": (
        "This request came from another site and was not carried out. Do it from this page.",
        "다른 사이트에서 온 요청이라 처리하지 않았어요. 이 페이지에서 다시 해 주세요.",
    ),
    "read-only": (
        "This folder is read-only. Ask who runs the server if it must change.",
        "읽기 전용 폴더예요. 변경해야 하면 관리자에게 문의해 주세요.",
    ),
    "name-exists": (
        "“{name}” exists already. Choose another name.",
        "‘{name}’ 이름이 이미 있어요. 다른 이름을 써 주세요.",
    ),
    "no-preview": ("This cannot be shown here. Download it.", "여기에서는 볼 수 없어요. 다운로드해 주세요."),
    "not-found": (
        "There is nothing at this address. Go to the start page.",
        "이 주소에는 아무것도 없어요. 첫 페이지로 이동해 주세요.",
    ),
    "unavailable": (
        "The server is stopping, or cannot remember anything now. Try again in {retry_after} s.",
        "서버를 종료하는 중이거나 지금은 응답할 수 없어요. {retry_after}초 뒤에 다시 시도해 주세요.",
    ),
    "storage/generic": (
        "Something broke on the server; nothing was changed. Try again, or report the request number.",
        "서버에서 문제가 생겼어요. 바뀐 것은 없어요. 다시 시도하거나 요청 번호를 알려 주세요.",
    ),
}
"""By the tails of the types; the others are told by the title of the problem."""


class Words:
    """The words of one language; ``words("key", n=1)`` fills a sentence."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, **values: Any) -> str:
        text = WORDS[key][self._column]
        return text.format(**values) if values else text

    def problem(self, tail: str, values: Mapping[str, Any]) -> str | None:
        """Return what is said of a type of problem, None where there are no words for it, or not what they need."""
        said = PROBLEMS.get(tail)
        if said is None:
            return None
        try:
            return said[self._column].format(**values)
        except (KeyError, IndexError):
            return None


def language_of(asked: str | None, kept: str | None, accepted: str) -> Language:
    """Return the language of an answer: the one that is asked for, else the one that was, else as the browser says.

    ``accepted`` is ``Accept-Language`` (RFC 9110 section 12.5.4).
    """
    for said in (asked, kept):
        for language in LANGUAGES:
            if said == language:
                return language
    best: tuple[float, Language] = (0.0, "en")
    for part in accepted[:1_000].split(","):
        tag, _, weight = part.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        for language in LANGUAGES:
            if primary == language and quality > best[0]:
                best = (quality, language)
    return best[1]
