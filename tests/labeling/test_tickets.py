import pytest
from django.core import signing

from labeling.tickets import InvalidTicket, Ticket, read_ticket
from tests.factories import NOW

TICKET = Ticket(response_id=3, person_id=5, guideline_id=None, issued_at=NOW)


class TestTicket:
    def test_comes_back_as_it_was(self) -> None:
        assert read_ticket(TICKET.signed(), person_id=5) == TICKET

    def test_is_for_one_person(self) -> None:
        with pytest.raises(InvalidTicket, match="another person"):
            read_ticket(TICKET.signed(), person_id=6)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param("nonsense", id="nonsense"),
            pytest.param(TICKET.signed()[:-1] + "\x00", id="damaged"),
            pytest.param(signing.dumps([3, 5, None, NOW.isoformat()]), id="signed for something else"),
            pytest.param(signing.dumps([3, 5], salt="labeling.ticket"), id="of another version"),
        ],
    )
    def test_cannot_be_made_up(self, text: str) -> None:
        with pytest.raises(InvalidTicket):
            read_ticket(text, person_id=5)
