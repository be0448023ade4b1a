"""The shadow target: a second, complete bridge whose modern system is not the production one.

Its settings are derived from the bridge's own; address, credentials, organizations and journal are all other ones, so
that nothing it does can reach what the production bridge writes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.comparing import Answer
from bridge.errors import CallerError, CannotTakeNow, SettingsFault
from bridge.legacy.rendering import whole_batch_error
from bridge.pipeline import Pipeline
from bridge.senders import Sender
from bridge.settings import (
    Budgets,
    CutoverSettings,
    LegacySettings,
    OrganizationSettings,
    SenderSettings,
    Settings,
    ShadowSettings,
)

NO_TARGET = "shadow.base_url is not set: name the address of a modern API that is not the production one"


def shadow_settings(settings: Settings) -> Settings:
    """Return the settings of the bridge to the shadow target; raises SettingsFault where none is configured."""
    shadow = settings.shadow
    if shadow.base_url is None or shadow.token_url is None:
        raise SettingsFault(NO_TARGET)
    stand_ins = {one.id: one.shadow.id for one in settings.organizations if one.shadow is not None}
    return settings.model_copy(
        update={
            "modern": settings.modern.model_copy(
                update={"base_url": shadow.base_url, "token_url": shadow.token_url, "webhook_secrets": ()}
            ),
            "storage": settings.storage.model_copy(update={"url": shadow.storage_url}),
            "legacy": LegacySettings.model_validate({}),
            "cutover": CutoverSettings.model_validate({}),
            "recording": settings.recording.model_copy(update={"key": None}),  # what is only tried is not recorded
            "shadow": ShadowSettings.model_construct(base_url=None, token_url=None),
            "guardrails": Budgets.model_validate({}),
            "organizations": tuple(_merge(settings.organizations)),
            "senders": tuple(_lead(settings.senders, stand_ins, shadow.answer_seconds)),
        }
    )


class ShadowTarget:
    """The way to the shadow target."""

    def __init__(
        self,
        pipeline: Pipeline | None,
        senders: Iterable[Sender],
        served: Iterable[str],
        *,
        clock: Callable[[], float],
    ) -> None:
        """`senders` are those of the derived settings, `served` the organizations that have a stand-in there.

        Without a pipeline nothing is submitted, and nothing answered: the bridge to the target could not be opened.
        """
        self._pipeline = pipeline
        self._senders = {one.id: one for one in senders}
        self._served = frozenset(served)
        self._clock = clock

    def serves(self, organization: str) -> bool:
        """Tell whether an organization has a stand-in there."""
        return organization in self._served

    async def answer(self, sender_id: str, body: bytes) -> Answer | None:
        """Have a batch (UTF-8 JSON) worked there and return its final answer; None when there is none in time."""
        sender = self._senders.get(sender_id)
        if sender is None or self._pipeline is None:
            return None
        try:
            ticket = await self._pipeline.take(sender, body)
            # also a batch whose caller wants no answer (`offline`) is waited for
            ticket = replace(ticket, deadline=self._clock() + sender.hold_seconds)
            answer = await self._pipeline.redeem(ticket)
            is_final = await self._pipeline.is_final(ticket)
        except CallerError as refusal:
            return Answer(refusal.status, whole_batch_error(str(refusal)))
        except CannotTakeNow:
            return None
        return Answer(200, answer.reply) if is_final else None


def _merge(organizations: Iterable[OrganizationSettings]) -> list[OrganizationSettings]:
    """Return the stand-ins; several organizations may share one, and then their creditors."""
    merged: dict[str, OrganizationSettings] = {}
    for one in organizations:
        if one.shadow is None:
            continue
        known = merged.get(one.shadow.id)
        creditors = (*(known.creditors if known else ()), *one.creditors)
        merged[one.shadow.id] = one.model_copy(
            update={
                "id": one.shadow.id,
                "creditors": creditors,
                "client_id": one.shadow.client_id,
                "client_secret": one.shadow.client_secret,
                "webhook_secrets": (),
                "shadow": None,
                "guardrails": None,
            }
        )
    return list(merged.values())


def _lead(senders: Iterable[SenderSettings], stand_ins: dict[str, str], hold_seconds: float) -> list[SenderSettings]:
    """Return the senders that write to an organization with a stand-in, led there and held until it has answered."""
    led = []
    for sender in senders:
        there = tuple(dict.fromkeys(stand_ins[one] for one in sender.organizations if one in stand_ins))
        if there:
            led.append(sender.model_copy(update={"organizations": there, "hold_seconds": hold_seconds}))
    return led
