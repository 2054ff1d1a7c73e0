import pytest

from tests import factories as make
from tests.bench.routes import LEFT_OUT, QUERIES, Route, fnmatchcase, paths_of, routes, rows_of_bench


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
        rows = rows_of_bench()
        paths = [path for route in routes() if not route.why_left_out for path in paths_of(route, rows)]
        assert {"/", "/studies/two/", "/studies/two/report/", "/federation/kept/", "/admin/"} <= set(paths)
        assert "/studies/two/?verdict=open" in paths

    def test_refuse_a_page_of_which_nobody_said_what_stands_in_its_address(self) -> None:
        with pytest.raises(LookupError, match="say in tests/bench/routes.py which row stands for number"):
            paths_of(Route("news:page", ("number",)), {})
