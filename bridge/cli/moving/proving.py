"""The books of the legacy host, of the bridge and of the modern system, held against each other and the ERP's."""

from __future__ import annotations

from bridge.cli.moving.erp import Entity
from bridge.cli.moving.ground import FJELLHEIM, NORDLYS, Ground
from bridge.cli.moving.story import Story

KINDS = {"invoices": "invoice", "payments": "payment"}
"""What the sandbox calls its tallies, and what that is in a batch."""


async def prove(story: Story, ground: Ground) -> None:
    """Show that nothing is lost and nothing doubled."""
    await story.run("ledger")
    story.screen.say()
    told, refused = ground.erp.accepted, ground.erp.refused
    story.check(
        not told & refused,
        f"the ERP was told one thing of each invoice and payment: {len(told):,} accepted, {len(refused):,} refused",
    )
    legacy, modern = ground.sandbox.legacy.accepted, _modern_entities(ground)
    story.check(
        legacy.keys() == told and not ground.sandbox.legacy.doubled(),
        f"the legacy host holds each of the {len(told):,} accepted ones, and each once",
    )
    story.check(
        modern and modern <= told and not ground.sandbox.state.doubled(),
        f"the modern system holds {len(modern):,} of them, each once, and none that was refused",
    )
    fjellheim = ground.sandbox.state.account(FJELLHEIM).tallies.values()
    story.check(not any(one.total for one in fjellheim), "and nothing of Fjellheim, which nobody has switched")
    await _prove_bridge(story, ground, modern)


async def _prove_bridge(story: Story, ground: Ground, modern: set[Entity]) -> None:
    """Show that the bridge's own books agree with what the modern system holds, and with what was caught up on."""
    ledger = await ground.ask(lambda books: books.ledger())
    nobody = ledger.pending + ledger.in_doubt + len(ledger.unaccounted)
    story.check(not nobody, f"the bridge's journal accounts for all {ledger.accepted:,} rows it took")
    carried = await ground.ask(lambda books: books.handed_over(NORDLYS))
    story.check(len(carried) == len(modern), f"and {len(carried):,} rows went into the catch-up batch, as many")


def _modern_entities(ground: Ground) -> set[Entity]:
    tallies = ground.sandbox.state.account(NORDLYS).tallies
    return {(name, one) for kind, name in KINDS.items() for one in tallies[kind].accepted}
