"""Tickets: what the form of one answer carries, signed, so that only whom it was shown to can judge it."""

from dataclasses import dataclass
from datetime import datetime

from django.core import signing

_SALT = "labeling.ticket"


class InvalidTicket(ValueError):
    """The ticket was made up, damaged, or made for somebody else."""


@dataclass(frozen=True)
class Ticket:
    """Says that an answer was handed to a person, with which guideline, when, and whether to settle it.

    Whoever gets it can read it: whether it is a gold answer or a self-check must not stand in it.
    """

    response_id: int
    person_id: int
    guideline_id: int | None
    issued_at: datetime
    is_adjudication: bool = False

    def signed(self) -> str:
        """Return it as text that nobody else can make."""
        facts = [self.response_id, self.person_id, self.guideline_id, self.issued_at.isoformat(), self.is_adjudication]
        return signing.dumps(facts, salt=_SALT)


def read_ticket(text: str, *, person_id: int) -> Ticket:
    """Return the ticket of a form that a person sent.

    Raises:
        InvalidTicket: it is none of theirs.
    """
    try:
        response_id, owner_id, guideline_id, issued_at, is_adjudication = signing.loads(text, salt=_SALT)
        ticket = Ticket(response_id, owner_id, guideline_id, datetime.fromisoformat(issued_at), is_adjudication)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise InvalidTicket(
            "The form was damaged on its way, so that it is not clear which answer it judges."
        ) from error
    if ticket.person_id != person_id:
        raise InvalidTicket("The form was made for another person; they signed in here before you.")
    return ticket
