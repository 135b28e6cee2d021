"""What is known of a selection while somebody waits for an answer: all of it, or what a second has shown."""

from __future__ import annotations

import asyncio

from pannier.archive.plan import SHOWN_OFFENCES, Plan
from pannier.errors import SelectionRefused
from pannier.services.orders import Order
from pannier.services.planning import Plans
from pannier.services.progress import Progress

_SECONDS = 1.0
"""How long is waited for a plan."""
_POLL_SECONDS = 0.02


async def plan_for_a_second(plans: Plans, order: Order) -> Plan | None:
    """Wait for the plan until a second has passed and every named path was looked up; None if it goes on.

    Raises:
        SelectionRefused: What was found by then refuses the selection.
        PannierError: As ``Plans.plan``.
    """
    walks: list[Progress] = []
    planning = asyncio.create_task(plans.plan(order, watch=walks.append))
    try:
        await asyncio.wait({planning}, timeout=_SECONDS)
        while not planning.done() and not (walks and walks[0].named.is_set()):
            await asyncio.wait({planning}, timeout=_POLL_SECONDS)
        if planning.done():
            return planning.result()
        if found := walks[0].offences[:]:  # its thread goes on adding
            codes = {offence.code for offence in found}
            raise SelectionRefused(sorted(found[:SHOWN_OFFENCES]), len(found), codes=codes)
        return None
    finally:
        planning.cancel()  # leaves the walk to itself: it goes on for who comes later
        await asyncio.gather(planning, return_exceptions=True)
