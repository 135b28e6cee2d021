"""Nothing outside the folder, by no route and no way into it: body, claim, query, header, link, archive entry, target.

A real server over a real disk; what lies outside is watched by the kernel. What a route takes is what the listeners
say of themselves: a new route, field or claim fails here until somebody has said what is to be tried in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from tests.api.attacks import Stage
from tests.api.canary import tells, untouched
from tests.api.host import served
from tests.api.live import SECRET, Answer
from tests.api.ways import (
    ALWAYS_REFUSED,
    BODIES,
    BY_ID,
    CLAIMS,
    HARMLESS,
    KINDS,
    PARAMETERS,
    QUERIED,
    TOKEN_ROUTES,
    WAYS,
    WITHOUT_A_BODY,
    Way,
)

NO_TOKEN = {
    *(f"{method} {path}" for method in ("GET", "HEAD") for path in ("/", "/openapi.json")),
    "OPTIONS /upload",
    "OPTIONS /uploads",
}
MANY = 12
"""Ways; where there are fewer for a kind of value, all of its attacks are tried by each."""
ACROSS = ("manager POST /folder/clone", "dst_volume")
"""Where the wire says 500: a clone to another volume."""


LASTING = [way for way in WAYS if "/folder/revoke" in way.route or ("/session" in way.route and "jti" in way.field)]
"""Ways that change more than a folder, or ask for more: the next case would feel it, or they the one before."""
PASSING = [way for way in WAYS if way not in LASTING]
# One server for all but those: each case lays the stage anew, and what it did is over when it has its answers.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    place = tmp_path_factory.mktemp("stage")
    async with served(place) as host:
        yield Stage.build(host, place)


@pytest_asyncio.fixture(loop_scope="module")
async def own_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with served(tmp_path) as host:
        yield Stage.build(host, tmp_path)


@pytest.fixture
def stage(theatre: Stage) -> Stage:
    theatre.lay()
    return theatre


async def described(stage: Stage, listener: str) -> dict[str, dict[str, Any]]:
    """Return all routes of a listener, and the fields of each by where they stand."""
    listening = stage.host.it.listening
    base = listening.client_url if listener == "client" else listening.manager_url
    document = (await stage.host.it.ask("GET", f"{base}/openapi.json", X_BackendAI_Storage_Auth_Token=SECRET)).json
    found: dict[str, dict[str, Any]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            name = schema.get("$ref", "").rpartition("/")[2]
            body = document["components"]["schemas"][name]["properties"] if name else {}
            parameters = {each["name"] for each in operation.get("parameters", [])}
            found[f"{method.upper()} {path}"] = {"body": set(body), "parameters": parameters}
    return found


# ---------------------------------------------------------------- nothing is left out


async def test_every_route_of_the_manager_and_every_field_of_its_body_is_in_the_table(stage: Stage) -> None:
    routes = await described(stage, "manager")
    assert set(routes) == {*BODIES, *WITHOUT_A_BODY, *BY_ID, *QUERIED}
    for route, fields in routes.items():
        assert fields["body"] <= {*KINDS, *HARMLESS}, f"{route}: say what is to be tried in a new field"
        good = BODIES[route][0] if route in BODIES else {}
        assert fields["body"] & set(KINDS) <= set(good), f"{route}: give a good value of the field"
        assert set(good) <= fields["body"], route
        assert fields["parameters"] <= set(PARAMETERS), route
    assert not set(KINDS) & set(HARMLESS)


async def test_every_route_of_clients_and_every_parameter_is_in_the_table(stage: Stage) -> None:
    routes = await described(stage, "client")
    assert set(routes) == {*TOKEN_ROUTES, *NO_TOKEN}
    ways = {str(way) for way in WAYS}
    for route, fields in routes.items():
        assert fields["body"] == set(), route
        assert fields["parameters"] <= set(PARAMETERS), f"{route}: say what is to be tried in a new parameter"
        for name in fields["parameters"]:
            if not isinstance(PARAMETERS[name], str):
                assert ways & {f"client {route} query {name}", f"client {route} header {name}"}, (route, name)


@pytest.mark.parametrize("model", CLAIMS, ids=lambda model: model.__name__)
async def test_every_claim_is_in_the_table(model: type[BaseModel]) -> None:
    assert set(CLAIMS[model]) == set(model.model_fields)


async def test_every_way_is_tried_once() -> None:
    assert len({str(way) for way in WAYS}) == len(WAYS)


async def test_every_attack_is_tried_by_some_ways_at_least(stage: Stage) -> None:
    assert set(stage.plainest()) < set(stage.paths())
    for attacks in (Stage.paths, Stage.names):
        ways = [way for way in PASSING if way.attacks is attacks and " HEAD " not in way.route]
        assert set().union(*(chosen(stage, way) for way in ways)) == set(attacks(stage))


# ---------------------------------------------------------------- every way


@pytest.mark.parametrize("way", [way for way in PASSING if way.good is not None], ids=str)
async def test_a_way_works_with_a_good_value(stage: Stage, way: Way) -> None:
    """So that the refusals of the next test are those of the value."""
    await works(stage, way)


@pytest.mark.parametrize("way", LASTING, ids=str)
async def test_a_way_with_lasting_effects_works_with_a_good_value(own_stage: Stage, way: Way) -> None:
    await works(own_stage, way)


async def works(stage: Stage, way: Way) -> None:
    assert way.good is not None
    for answer in await way.go(stage, way.good):
        assert answer.status < 300, (answer.status, answer.body)
        state = "new" if "/session" in way.route else "done"  # of a link that nobody has used; of a task
        assert answer.json is None or answer.json.get("state", state) == state, answer.json


WHOLE = pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])


@WHOLE
@pytest.mark.parametrize("way", PASSING, ids=str)
async def test_no_value_leads_out_of_the_folder(stage: Stage, way: Way, whole: bool) -> None:
    await leads_nowhere(stage, way, whole)


@WHOLE
@pytest.mark.parametrize("way", LASTING, ids=str)
async def test_no_value_with_lasting_effects_leads_out_of_the_folder(own_stage: Stage, way: Way, whole: bool) -> None:
    await leads_nowhere(own_stage, way, whole)


async def leads_nowhere(stage: Stage, way: Way, whole: bool) -> None:
    with untouched(stage.outside, stage.neighbour) as opened:
        for text in way.attacks(stage) if whole else chosen(stage, way):
            stage.lay()
            for answer in await way.go(stage, text):
                check(way, text, answer)
            assert opened() == [], f"{text!r}: something outside was opened"
            upload = stage.root / ".upload"
            assert not upload.is_symlink(), f"{text!r}: the reserved name was given away"
            assert not (upload / "x").exists(), f"{text!r}: something was put into the reserved directory"


def chosen(stage: Stage, way: Way) -> list[str]:
    """The plainest attacks, and of the others every third: each of them by every third way for such values.

    There is one resolver for all ways; one that went past it would be found by the plainest. Few of them for ``HEAD``,
    which the handler of ``GET`` or ``PATCH`` answers too.
    """
    attacks = way.attacks(stage)
    if " HEAD " in way.route:
        return attacks[::3]
    plainest, peers = set(stage.plainest()), [each for each in WAYS if each.attacks is way.attacks]
    if len(peers) < MANY:
        return attacks
    return [text for at, text in enumerate(attacks) if at % 3 == peers.index(way) % 3 or text in plainest]


def check(way: Way, text: str, answer: Answer) -> None:
    shown = f"{text[:80]!r}: {answer.status} {answer.body[:300]!r}"
    assert not tells(answer.body), shown
    assert not tells("".join(f"{name}: {value}\n" for name, value in answer.headers.items()).encode()), shown
    assert "X-Injected" not in answer.headers, shown
    across = (way.route, way.field) == ACROSS and answer.status == 500
    assert answer.status < 500 or across, shown
    if answer.status >= 400 and answer.body and answer.json is not None:
        assert "Traceback" not in answer.body.decode("utf-8", "replace"), shown


async def test_routes_that_always_refuse_are_no_ways_that_work() -> None:
    assert all(way.good is None for way in WAYS if way.route.removeprefix("manager ") in ALWAYS_REFUSED)
