"""`bridge demo-cutover`: an organization moves from the legacy host to the modern system, and back, on one machine.

`ground` is where it takes place, `story` how it is told and how commands are run, `erp` who sends the batches,
`leaving` and `returning` are the seven steps, `proving` holds the books of all three against each other.
"""

from __future__ import annotations

from pathlib import Path

from bridge.cli.moving.ground import NEEDED, Ground, open_ground
from bridge.cli.moving.leaving import compare_recordings, decide, pass_through, shadow
from bridge.cli.moving.proving import prove
from bridge.cli.moving.returning import break_down, catch_up, move
from bridge.cli.moving.story import Story
from bridge.cli.screen import bad, good
from bridge.cli.stage import find_checkout, perform

STEPS = (
    ("1. Everything is legacy: batches pass through, and are recorded", pass_through),
    ("2. In the shadow: the bridge works the same batches, and writes nothing", shadow),
    ("3. The recording, compared without the rules for expected differences, and with them", compare_recordings),
    ("4. Ready? No, with reasons. Then they are seen to, five days go by: yes", decide),
    ("5. A quarter of the creditors goes, then all", move),
    ("6. Something breaks, and the organization comes back by itself", break_down),
    ("7. Back at the legacy host, which is told what it has missed", catch_up),
    ("The books of all three", prove),
)


def show(folder: Path | None, out: Path | None, *, logs: bool) -> bool:
    """Run the demonstration and show it; tell whether every step has proven what it says."""
    checkout = find_checkout(NEEDED, folder)
    return perform(lambda: _run(checkout, out), logs=logs)


async def _run(checkout: Path, out: Path | None) -> bool:
    async with open_ground(checkout, out) as ground:
        _introduce(ground)
        for title, play in STEPS:
            ground.story.screen.title(title)
            await play(ground.story, ground)
        return _conclude(ground.story, ground.out)


def _introduce(ground: Ground) -> None:
    tell = ground.story.tell
    tell("Two organizations are to leave the legacy host, one at a time; their ERPs know one address, the bridge's.")
    tell(f"  legacy host and modern API  {ground.sandbox.url}  (both of them a sandbox)")
    tell(f"  files                       {ground.out}")
    tell("Lines with a $ are commands as you would type them, with BRIDGE_CONFIG=config/cutover.toml.")


def _conclude(story: Story, out: Path) -> bool:
    """Say how it went, and what is left to look at."""
    story.screen.say()
    if story.failures:
        story.screen.say(bad(f"Checks that failed: {story.failures}. See the lines with ✗ above."))
    else:
        story.screen.say(good("Every step has proven what it says: nothing lost, nothing doubled."))
    story.tell(f"Recordings, the page of `bridge ready` and the catch-up batch stay in {out}")
    story.tell("Next: README.md, Moving an organization from the legacy host; docs/cutover.md")
    return not story.failures
