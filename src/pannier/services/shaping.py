"""From the entries of a walk to an archive in one format; blocks."""

from __future__ import annotations

from pannier.archive.entries import Entries
from pannier.archive.etag import archive_etag
from pannier.archive.formats import Format
from pannier.archive.plan import Checksums, Plan, Shape
from pannier.dto.archives import LayoutPolicy
from pannier.dto.selections import Selection


def shape_of(
    format: Format,
    selection: Selection,
    late_checksum_above: int,
    identity_scheme: str,
    entries: Entries,
    unsettled: frozenset[int],
) -> Shape:
    """Return the archive that entries make in a stored format; ``unsettled`` are numbers of ``entries``."""
    late_above = None if selection.layout is LayoutPolicy.PLAIN else late_checksum_above
    layout = format.layout(entries, late_above)
    shaping = {"links": str(selection.links)}
    if layout.checksums:  # then their place shapes the bytes
        shaping["late_checksum_above"] = str(late_above)
    return Shape(
        format=format,
        layout=layout,
        etag=archive_etag(format.name, format.version, shaping, identity_scheme, layout.entries),
        last_modified=entries.newest_ns() // 1_000_000_000,
        checksums=Checksums(layout.entries),
        unsettled=_in_order_of(layout.entries, entries, unsettled),
    )


def planned_unsettled(plan: Plan) -> frozenset[int]:
    """Return what is unsettled of a plan, as numbers of its entries rather than of its archive's."""
    shape = plan.demand()
    return _in_order_of(plan.entries, shape.layout.entries, shape.unsettled)


def _in_order_of(entries: Entries, others: Entries, numbers: frozenset[int]) -> frozenset[int]:
    """Return the numbers that some of ``others`` have among ``entries``, which are the same in another order."""
    if not numbers or entries is others:
        return numbers
    paths = {others.path(number) for number in numbers}
    return frozenset(number for number, path in enumerate(entries.paths()) if path in paths)
