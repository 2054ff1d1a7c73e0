import pytest

from tests import factories as make
from tests.bench.routes import (
    LEFT_OUT,
    QUERIES,
    Route,
    fnmatchcase,
    known_rows,
    pages_of,
    paths_of,
    routes,
    why_no_page,
)


class TestRoutes:
    def test_are_all_pages_or_left_out_for_a_reason_that_holds(self) -> None:
        names = {one.name for one in routes()}
        assert {"dashboards:home", "studies:detail", "admin:labeling_label_changelist"} <= names
        for pattern in LEFT_OUT:
            assert any(fnmatchcase(name, pattern) for name in names), pattern
        assert set(QUERIES) <= {one.name for one in routes() if not one.why_left_out}

    def test_that_only_take_forms_are_no_pages(self) -> None:
        why = {one.name: one.why_left_out for one in routes()}
        assert why["labeling:vote"] == why["studies:start"] == why["chat:send"] == "only takes forms"
        assert not why["labeling:next"]
        assert not why["labeling:gold"]  # shows a form, and takes it


@pytest.mark.django_db
class TestPathsOf:
    def test_know_a_row_for_every_page(self) -> None:
        for name in ("one", "two"):
            make.make_response(make.make_prompt(), make.make_deployment(name), study=make.make_study(name))
        rows = known_rows()
        paths = [path for route in routes() if not route.why_left_out for path in paths_of(route, rows)]
        assert {"/", "/studies/two/", "/studies/two/report/", "/federation/kept/", "/admin/"} <= set(paths)
        assert "/studies/two/?verdict=open" in paths

    def test_leave_a_query_out_whose_row_is_not_there(self) -> None:
        known = {"study": "one", "other_study": None}
        assert paths_of(Route("comparing:compare"), known) == ["/studies/compare/"]
        assert (
            paths_of(Route("comparing:compare"), known | {"other_study": "two"})[1] == "/studies/compare/?a=one&b=two"
        )

    def test_refuse_a_page_of_which_nobody_said_what_stands_in_its_address(self) -> None:
        with pytest.raises(LookupError, match="say in tests/bench/routes.py which row stands for number"):
            paths_of(Route("news:page", ("number",)), {})


@pytest.mark.django_db
class TestPagesOf:
    def test_say_of_every_route_where_it_is_or_why_it_is_none(self) -> None:
        addresses, reasons = pages_of(known_rows())
        assert addresses["studies:list"] == "/studies/"
        assert reasons["labeling:vote"] == "only takes forms"
        assert reasons["studies:detail"] == "no row stands for it in this database"
        assert not set(addresses) & set(reasons)
        assert set(addresses) | set(reasons) == {one.name for one in routes()}

    def test_have_a_conversation_of_the_one_who_looks(self) -> None:
        own, others = (make.make_conversation(owner=make.make_user()) for _ in range(2))
        assert known_rows(own.owner)["chat.public_id"] == own.public_id
        assert known_rows()["chat.public_id"] == others.public_id


@pytest.mark.parametrize(
    ("status", "kind", "text", "why"),
    [
        (200, "text/html; charset=utf-8", "<!doctype html>\n<html lang='en'>", ""),
        (302, "text/html", "", "leads to /elsewhere/"),
        (404, "text/html", "<!doctype html>", "answers with status 404"),
        (200, "text/csv", "a,b", "a file (text/csv)"),
        (200, "text/html", "<p>words</p>", "a part of a page"),
    ],
)
def test_a_page_is_a_whole_document(status: int, kind: str, text: str, why: str) -> None:
    assert why_no_page(status, {"content-type": kind, "location": "/elsewhere/"}, text) == why
