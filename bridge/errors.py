"""Everything that can go wrong, by who must act.

    BridgeError
    ├── CallerError             the ERP that called must change something; carries the HTTP status of the answer
    │   ├── UnreadableBatch     400
    │   ├── NotAuthenticated    401
    │   ├── UnreadableQuestion  400
    │   ├── NotAllowed          403
    │   ├── ForLegacyHost       403
    │   ├── NoSuchBatch         404
    │   ├── BatchTooLarge       413
    │   ├── TooMuchToRead       413
    │   ├── NotJson             415
    │   ├── ChangedContent      422
    │   └── TooManyBatches      429
    ├── OperatorError           the person who runs the bridge must act
    │   ├── SettingsFault       stops the start
    │   ├── MappingFault        stops the start
    │   ├── JournalLocked       stops the start
    │   ├── JournalTooNew       stops the start
    │   ├── NotSetUp            501: what is asked for is not configured
    │   └── CannotTakeNow       503: the journal cannot be written, or the bridge is full or draining
    └── VendorError             the modern system, or the way to it, must recover
        ├── ModernUnreachable   a read failed for now; try again later
        ├── ModernRefused       a read was answered with a 4xx
        └── NoAnswer            502, 503, 504: a call that only another system can answer

A class's docstring is its default message and says what to do. No message ever repeats the value of a personal or
money field.
"""

from __future__ import annotations

from typing import ClassVar


class BridgeError(Exception):
    """Something in the bridge went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message())

    @classmethod
    def default_message(cls) -> str:
        """Return the class's docstring as one line."""
        return " ".join((cls.__doc__ or "").split())


class CallerError(BridgeError):
    """The request cannot be taken as it is."""

    status: ClassVar[int] = 400


class UnreadableBatch(CallerError):
    """The body is not a legacy batch: send one JSON object with the arrays creditor, invoice, payment and action."""

    status = 400


class UnreadableQuestion(CallerError):
    """A parameter of the query cannot be read: correct it, or leave it out."""

    status = 400


class NotAuthenticated(CallerError):
    """The credentials are missing or wrong: send HTTP Basic or Bearer credentials of a configured sender."""

    status = 401


class ForLegacyHost(CallerError):
    """This is a catch-up batch, and the modern system has what is in it already: send it to the legacy host."""

    status = 403


class NotAllowed(CallerError):
    """These credentials do not belong to this sender: use the sender's own, or name their sender in senderid."""

    status = 403


class NoSuchBatch(CallerError):
    """This sender has sent no such batch: correct batchid, or leave it out to read claims and settlements."""

    status = 404


class BatchTooLarge(CallerError):
    """The body is larger than this bridge accepts: split the batch."""

    status = 413


class TooMuchToRead(CallerError):
    """More cases than this bridge tells in one answer: ask for one creditorid, one customerref or one ledgerref."""

    status = 413


class NotJson(CallerError):
    """The body is not declared as JSON: send Content-Type application/json."""

    status = 415


class ChangedContent(CallerError):
    """This batchid was used before with other content: send the new rows under a new batchid."""

    status = 422


class TooManyBatches(CallerError):
    """This sender has too many batches open: wait for answers before sending more."""

    status = 429


class OperatorError(BridgeError):
    """The operator of the bridge must act."""


class SettingsFault(OperatorError):
    """The configuration cannot be used."""


class UnknownProfile(SettingsFault):
    """Senders speak profiles that the mappings folder does not hold; one line for each: key, profile, remedy."""


class MappingFault(OperatorError):
    """A mapping file cannot be used."""


class JournalLocked(OperatorError):
    """Another process holds this journal: stop it, or give this one its own storage.url."""


class JournalTooNew(OperatorError):
    """The journal was written by a newer version of the bridge: start that version, or restore a backup."""


class NotSetUp(OperatorError):
    """What is asked for is not configured here: have the operator of the bridge set it up."""


class CannotTakeNow(OperatorError):
    """The bridge cannot take work now: send the same batch again later."""

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 5) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class VendorError(BridgeError):
    """The modern system must recover."""


class ModernUnreachable(VendorError):
    """The modern system could not be reached or did not answer in time; it is asked again later."""


class ModernRefused(VendorError):
    """The modern system refused to answer a question of the bridge."""

    def __init__(self, message: str | None = None, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NoAnswer(VendorError):
    """Another system did not give what this call needs: send it again later."""

    def __init__(self, message: str | None = None, *, status: int, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
