"""Steps 1 to 4: an organization gets ready to leave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bridge.cli.moving.erp import PEOPLE, Shipment
from bridge.cli.moving.ground import ORG, RULES, Ground
from bridge.cli.moving.story import Story, quote
from bridge.comparing import Bucket
from bridge.recording.files import read_recordings
from bridge.recording.lines import write_line
from bridge.steering.observing import Topic

FIRST_DAY, SECOND_DAY = 20, 19
"""How many days ago they were."""
DAYS_IN_SHADOW = 5
BATCHES_A_DAY, INVOICES = 2, 100
NO_DUE_DATE = {"dueDate": ""}
AMBIGUOUS = {"originalInvoiceAmount": "1,250"}
"""The legacy host takes it for 1.25, the bridge asks which it is."""
STRANGER = {"creditorid": "915107281"}
"""Belongs to Nordlys, and nobody has told the bridge so yet."""
PLANTED = ["invoice.casenumber", "invoice.message", "invoice.verdict"]
"""The fields in which the two answers differ on the second day."""
TELLING_LETTERS = 4
"""A shorter name may be found in any text."""
SAYING = '--by you --because "{}"'


async def pass_through(story: Story, ground: Ground) -> None:
    """Step 1: pass through and record."""
    story.tell("The bridge hands every batch to the legacy host as it is, and its answer back.")
    ground.days_ago = FIRST_DAY
    ground.configure(in_full=False)
    async with ground.serving():
        await story.run("mode show")
        await ground.switch(f"record start {ORG} {SAYING.format('to see what the ERPs really send')}")
        for invoices in (1, *[INVOICES] * BATCHES_A_DAY):
            shipment = ground.erp.write(ground.creditors, invoices, *([NO_DUE_DATE] if invoices > 1 else ()))
            ground.kept["legacy"] = shipment, await ground.deliver(shipment)
        await _check_bytes(story, ground, *ground.kept["legacy"])
        folder = ground.settings.recording.folder
        sent = BATCHES_A_DAY + 1
        await ground.until(lambda: _count_lines(folder) == sent, "every batch is recorded")
    ground.keep_recording("legacy")
    _show_recording(story, folder)


async def _check_bytes(story: Story, ground: Ground, shipment: Shipment, reply: bytes) -> None:
    """Compare what went through the bridge with what the legacy host got, and says when asked without a bridge."""
    arrived = ground.sandbox.requests.newest(1, "legacy-batch")[0].body
    _, straight = await ground.send(shipment, ground.sandbox.url)
    story.screen.say()
    story.check(arrived == shipment.body, f"the request arrived byte for byte ({len(arrived):,} bytes)")
    story.check(reply == straight, f"the answer came back byte for byte ({len(reply):,} bytes)")
    story.check(ground.modern_rows == 0, "the modern API was sent nothing")


def _show_recording(story: Story, folder: Path) -> None:
    lines = [found.line for found in read_recordings([folder]) if found.line is not None]
    stored = b"".join(path.read_bytes() for path in folder.iterdir()).decode()
    story.tell("A recorded line, the shortest; names and numbers of people are pseudonyms, references are not:")
    story.screen.data(min(map(write_line, lines), key=len))
    personal = {word for person in PEOPLE for word in person if len(word) >= TELLING_LETTERS}
    story.check(not any(word in stored for word in personal), "no name and no national id of the debtors is in it")
    story.check(len(lines) == BATCHES_A_DAY + 1, f"{len(lines)} batches are recorded in {folder}")


def _count_lines(folder: Path) -> int:
    return sum(found.line is not None for found in read_recordings([folder])) if folder.is_dir() else 0


async def shadow(story: Story, ground: Ground) -> None:
    """Step 2: the legacy host answers; beside it the bridge predicts what it would answer."""
    story.tell("The legacy host still answers. Beside it the bridge works the same batch up to where it would write.")
    story.tell("Two things are wrong on purpose: an amount to be read in two ways, and a creditor nobody onboarded.")
    ground.days_ago = SECOND_DAY
    async with ground.serving():
        await ground.switch(f"mode set {ORG} shadow {SAYING.format('to see the two side by side')}")
        for _ in range(BATCHES_A_DAY):
            await ground.deliver(ground.erp.write(ground.creditors, INVOICES, NO_DUE_DATE, AMBIGUOUS, STRANGER))
        await ground.wait_for_comparisons(BATCHES_A_DAY)
        rows, differences = await ground.seen(Topic.COMPARED), await ground.seen(Topic.DIFFERENCE)
    ground.keep_recording("shadow")
    await story.run(f"compare {_recorded(ground, 'shadow')}", 1)
    story.check(rows["same",] and rows["different",], f"the running bridge compared them as well: {_say(rows)}")
    story.tell("  (two fewer: as long as nobody has onboarded their creditor, those rows are not counted as Nordlys's)")
    paths = sorted({path for path, *_ in differences})
    story.check([path.lower() for path in paths] == PLANTED, f"and found what is there to be found: {', '.join(paths)}")
    story.check(ground.modern_rows == 0, "the modern API was sent nothing")


def _say(rows: Counter[tuple[str, ...]]) -> str:
    return ", ".join(f"{rows[bucket,]:,} {bucket}" for bucket in Bucket)


def _recorded(ground: Ground, step: str) -> str:
    return " ".join(map(quote, ground.recorded[step]))


async def compare_recordings(story: Story, ground: Ground) -> None:
    """Step 3: `bridge compare`, which needs no running bridge."""
    story.tell("No bridge runs now: the recording of the first day is enough.")
    recorded = _recorded(ground, "legacy")
    await story.run(f"compare {recorded}", 1)
    story.tell("With a rule for each difference that is expected, by somebody, for a reason, until a day:")
    await story.run(f"compare {recorded} --rules {quote(ground.checkout / RULES)}")


async def decide(story: Story, ground: Ground) -> None:
    """Step 4: NO-GO, then GO."""
    story.tell("On the second day:")
    await story.run(f"ready {ORG} --at {ground.days['shadow']}", 1)
    story.tell("So: the rules are put into the configuration, the creditor is onboarded, the ERP writes its amounts")
    story.tell("clearly. The bridge is started again, and five days of traffic go by in shadow (its clock is moved).")
    ground.configure(in_full=True)
    async with ground.serving():
        for days_ago in reversed(range(DAYS_IN_SHADOW)):
            ground.days_ago = days_ago
            for _ in range(BATCHES_A_DAY):
                await ground.deliver(ground.erp.write(ground.creditors, INVOICES, NO_DUE_DATE))
            await ground.wait_for_comparisons(BATCHES_A_DAY)
        page = ground.out / "ready.html"
        await story.run(f"ready {ORG} --html {quote(page)}")
    story.check(page.is_file(), f"a page to read and pass on: {page}")
    story.check(ground.modern_rows == 0, "the modern API was sent nothing in all these days")
