"""Problems as people read them: a page where a browser asks for one, in its language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from pannier.api.problems import CONTENT_TYPE
from pannier.api.requests import Context
from pannier.desk.html import Page, SeeOther, Site, moment, shown
from pannier.desk.words import Words
from pannier.dto.problems import Problem

_OF_LINKS = {"link-revoked", "link-expired", "link-spent", "link-not-found", "request-closed"}
"""What receivers read, to whom the start page says nothing."""


def tail_of(type: str) -> str:
    """Return the end of a problem's type, by which it is known."""
    return type.rpartition("probs/")[2].rpartition("problem:")[2]


def said(words: Words, problem: Problem) -> str:
    """Return what people are told of a problem."""
    return _said(words, problem.model_dump())


def _said(words: Words, problem: Mapping[str, Any]) -> str:
    paths, data = problem.get("paths") or (), problem.get("data")
    values = {
        **problem,
        "name": shown(str(paths[0]).rpartition("/")[2]) if paths else "",
        "field": ", ".join(map(str, data)) if isinstance(data, dict) else "",
        "n": problem.get("total"),
        "m": problem.get("entries") or problem.get("total"),
    }
    if ended := problem.get("ended"):
        values["ended"] = _in_utc(str(ended))
    tail = tail_of(str(problem["type"]))
    return words.problem(tail, values) or str(problem.get("detail") or problem["title"])


def _in_utc(time: str) -> str:
    return f"{moment(int(datetime.fromisoformat(time).timestamp() * 1000))} UTC"


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a browser asks for something that it will show as a page."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "") and request.headers.get("X-Pannier-CSRF") is None


class ProblemPages:
    """Turns problems into pages, for browsers: around everything else."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @web.middleware
    async def show(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer with a page where the answer is a problem and a browser asks for a page."""
        response = await handler(request)
        if response.content_type != CONTENT_TYPE or not isinstance(response, web.Response) or not wants_page(request):
            return response
        problem = json.loads(response.body) if isinstance(response.body, bytes) else {}
        if not problem:
            return response
        context, words = Context.of(request), self._site.words(Context.of(request))
        kept = {name: response.headers[name] for name in ("Retry-After", "Allow") if name in response.headers}
        if tail_of(problem["type"]) == "signed-out" and request.method == "GET":
            return await SeeOther(f"{self._site.house.prefix}/enter").send(context)
        text = _said(words, problem | {"retry_after": kept.get("Retry-After", "5")})
        values = {
            "said": text.partition(_in_utc(over)) if (over := problem.get("ended")) else (text, "", ""),
            "detail": problem.get("detail") or problem.get("title"),
            "request": problem.get("request", ""),
            "ended": tail_of(problem["type"]) in _OF_LINKS,
        }
        page = Page(self._site, "error", "error", values, status=response.status, headers=kept)
        return await page.send(context)
