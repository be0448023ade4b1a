from __future__ import annotations

import pytest

from bridge.modern.ears import Cue, Ear


@pytest.mark.parametrize("cues", [(Cue.HINT, Cue.SIGHTING, Cue.TURN), (Cue.TURN, Cue.SIGHTING, Cue.HINT)])
async def test_of_several_cues_the_highest_counts(cues: tuple[Cue, ...]) -> None:
    """Cues that come before the wait goes on are one; the next pause begins without any."""
    ear = Ear("b", now=0.0, age_seconds=0.0)
    for cue in cues:
        ear.tell(cue)
    await ear.next_cue()
    assert ear.take_cue() is Cue.HINT
    assert not ear.next_cue().done()


def test_a_wait_that_has_just_begun_is_due_after_the_floor() -> None:
    """However old its batch is: nobody has looked yet."""
    assert Ear("b", now=1000.0, age_seconds=500.0).due_at == pytest.approx(1000.004)
