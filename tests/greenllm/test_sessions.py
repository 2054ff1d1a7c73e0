from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from greenllm.sessions import SessionStore

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    """The key of a session that Django's own store has written."""
    session = DatabaseSessions()
    session["theme"] = "dark"
    session.create()
    assert session.session_key
    return session.session_key


def test_holds_what_djangos_own_holds(key: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    session = SessionStore(key)
    with django_assert_num_queries(1):
        assert session["theme"] == "dark"
    session["theme"] = "light"
    session.save()
    assert DatabaseSessions(key)["theme"] == "light"


@pytest.mark.parametrize("by", [timedelta(seconds=1), timedelta(days=400)])
def test_begins_anew_where_one_is_over(key: str, by: timedelta) -> None:
    Session.objects.update(expire_date=timezone.now() - by)
    session = SessionStore(key)
    assert session.get("theme") is None
    assert session.session_key is None


def test_begins_anew_where_there_is_none_or_it_was_changed(key: str) -> None:
    assert SessionStore("nowhere").load() == {}
    Session.objects.update(session_data="made up by somebody")
    assert SessionStore(key).load() == {}
