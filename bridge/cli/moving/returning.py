"""Steps 5 to 7: an organization goes, comes back by itself, and the legacy host catches up."""

from __future__ import annotations

import json

from bridge.cli.moving.erp import Shipment
from bridge.cli.moving.ground import BREAKDOWN, FJELLHEIM, NORDLYS, ORG, Ground
from bridge.cli.moving.leaving import SAYING
from bridge.cli.moving.story import Story, quote
from bridge.modes import GUARDRAIL, Mode
from bridge.sandbox import load_script

INVOICES = 40
BATCHES_THAT_BREAK = 2
CATCH_UP = "catch-up.json"


async def move(story: Story, ground: Ground) -> None:
    """Step 5: a quarter of the creditors, then all."""
    ground.days_ago = 0
    async with ground.serving():
        await ground.switch(
            f"mode set {ORG} shadow --percent 25 --to modern {SAYING.format('a quarter of the creditors first')}"
        )
        await _send_one(story, ground, "a batch of all creditors was split, worked by both, and answered as one")
        await ground.switch(f"mode set {ORG} modern {SAYING.format('the quarter went well')}")
        await _send_one(story, ground, "the bridge answers for Nordlys; Fjellheim is with the legacy host as before")
        await _send_again(story, ground)


async def _send_one(story: Story, ground: Ground, text: str) -> None:
    """Send a batch of both organizations, and see that every row went where the mode of its creditor says."""
    everyone = (*ground.creditors, *_creditors(ground, FJELLHEIM))
    shipment = ground.erp.write(everyone, INVOICES)
    modern, legacy = ground.modern_rows, ground.legacy_rows
    await ground.deliver(shipment)
    to_modern, to_legacy = ground.modern_rows - modern, ground.legacy_rows - legacy
    expected = _count_modern(ground, shipment)
    story.check(
        (to_modern, to_legacy) == (expected, len(shipment.entities) - expected),
        f"{text}: {to_modern} rows to the modern API, {to_legacy} to the legacy host",
    )


def _creditors(ground: Ground, organization: str) -> tuple[str, ...]:
    return next(one.creditors for one in ground.settings.organizations if one.id == organization)


def _count_modern(ground: Ground, shipment: Shipment) -> int:
    """Count the rows of a batch whose creditor is in mode modern."""
    document, switch = json.loads(shipment.body), ground.switch_of(NORDLYS)
    creditors = [row["creditorid"] for row in (*document["invoice"], *document["payment"])]
    return sum(one in ground.creditors and switch.mode_of(one) is Mode.MODERN for one in creditors)


async def _send_again(story: Story, ground: Ground) -> None:
    """Send a batch of the first day again: it goes where it went first, whatever the mode is now."""
    shipment, reply = ground.kept["legacy"]
    modern, legacy = ground.modern_rows, ground.legacy_rows
    _, again = await ground.send(shipment)
    story.tell("The ERP sends a batch of the first day again, as ERPs do:")
    story.check(again == reply, "it got the legacy host's answer of then, byte for byte")
    story.check((ground.modern_rows, ground.legacy_rows) == (modern, legacy), "and neither system took a row twice")


async def break_down(story: Story, ground: Ground) -> None:
    """Step 6: the modern system refuses invoices, and a guardrail sees it."""
    story.tell(f"The modern system begins to refuse three invoices in five ({BREAKDOWN}).")
    budget = ground.settings.guardrails
    story.tell(f"Nordlys may have {budget.refused_percent:g} % of its rows refused; the ERP sends as before.")
    async with ground.serving():
        ground.sandbox.play(load_script(ground.checkout / BREAKDOWN), append=True)
        for _ in range(BATCHES_THAT_BREAK):
            await ground.deliver(ground.erp.write(ground.creditors, INVOICES))
        await ground.until(lambda: ground.switch_of(NORDLYS).actor == GUARDRAIL, "the guardrail switches back")
        switch = ground.switch_of(NORDLYS)
        await story.run(f"mode history {ORG}")
    story.check(switch.describe() == "shadow, 25 % modern", f"it went back to what it was before: {switch.describe()}")
    story.check("refused" in switch.reason and "budget" in switch.reason, f"the record says why: {switch.reason}")


async def catch_up(story: Story, ground: Ground) -> None:
    """Step 7: all the way back, and the legacy host gets what it has missed, once."""
    async with ground.serving():
        await ground.switch(f"mode set {ORG} legacy {SAYING.format('until we know why')}")
        modern = ground.modern_rows
        await ground.deliver(ground.erp.write(ground.creditors, INVOICES))
        story.check(ground.modern_rows == modern, "the next batch went to the legacy host, all of it")
        file = ground.out / CATCH_UP
        await story.run(f"debt {ORG} --out {quote(file)} --by you")
        owed = Shipment("", file.read_bytes(), {})
        status, reply = await ground.send(owed)
        code = json.loads(reply)["statuscode"]
        story.tell(f"The catch-up batch is sent through the bridge: HTTP {status}, statuscode {code}")
        story.check((status, code) == (200, 0), "the legacy host took every row of it")
        story.check(ground.modern_rows == modern, "and nothing of it went to the modern API")
        await story.run(f"debt {ORG}")
