"""A study of the router itself on real services: through the served application, by the machine's worker."""

from collections.abc import Iterator

import pytest

from tests.chain.installation import Installation, rows

pytestmark = pytest.mark.slow

TIMEOUT_S = 300
MODELS = {"smollm2:135m", "smollm2:135m-q8_0", "smollm2:135m-q3_k"}


@pytest.fixture(scope="module")
def place(resumed: Installation) -> Iterator[Installation]:
    """An installation that has measured its models, and then the router on the same five validation prompts."""
    resumed.env["GREENLLM_ROUTER_KEY"] = resumed.api_key
    resumed.start("up")
    resumed.wait_for_log("Ctrl-C stops it", TIMEOUT_S)
    resumed.manage(
        "run_study", "through", "--router", "--dataset", "greenllm-demo", "--role", "validation", "--limit", "1",
        "--num-predict", "64",
    )  # fmt: skip
    yield resumed
    assert resumed.stop() == 0
    resumed.process = None


OF_ROUTER = (
    "FROM benchmarks_response r JOIN benchmarks_study s ON s.id = r.study_id "
    "WHERE s.kind = 'router' AND s.name = 'through'"
)


class TestRouterStudy:
    def test_measures_each_prompt_exactly_once(self, place: Installation) -> None:
        answers = rows(
            place, f"SELECT r.state, r.error, count(DISTINCT r.prompt_id), count(*) {OF_ROUTER} GROUP BY 1, 2"
        )
        assert answers == [("finished", "", 5, 5)]
        attempts = rows(
            place,
            "SELECT count(*) FROM benchmarks_responseattempt WHERE error_kind <> 'EnergyGap' "  # measured again then
            f"AND response_id IN (SELECT r.id {OF_ROUTER})",
        )
        assert attempts == [(5,)]

    def test_keeps_which_model_answered_by_which_request(self, place: Installation) -> None:
        told = rows(place, f"SELECT r.answered_by, r.gateway_request_public_id {OF_ROUTER}")
        assert {model for model, _ in told} <= MODELS
        known = rows(place, "SELECT public_id, state, requested_model FROM router_gatewayrequest")
        assert {(request, "answered", "auto") for _, request in told} <= set(known)
        assert len({request for _, request in told}) == 5

    def test_has_an_energy_in_the_boundary_of_the_router(self, place: Installation) -> None:
        measured = rows(
            place,
            "SELECT m.energy_j > 0, m.sci_gco2e > 0, m.quality, m.boundary FROM benchmarks_measurement m "
            f"WHERE m.id IN (SELECT r.measurement_id {OF_ROUTER})",
        )
        assert len(measured) == 5
        assert {row[:3] for row in measured} == {(True, True, "estimated")}
        assert all(
            str(row[3]).startswith("router: classifier + network + chosen model; whole machine") for row in measured
        )

    def test_leaves_the_router_out_of_routing(self, place: Installation) -> None:
        states = rows(
            place,
            "SELECT m.name, d.state FROM benchmarks_deployment d "
            "JOIN benchmarks_inferenceserver s ON s.id = d.server_id "
            "JOIN benchmarks_languagemodel m ON m.id = d.language_model_id WHERE s.is_router",
        )
        assert states == [("auto", "candidate")]
        refused = place.manage(
            "add_model", "auto", "--server", place.address, "--kind", "openai",
            "--api-key-variable", "GREENLLM_ROUTER_KEY", "--activate", check=False,
        )  # fmt: skip
        assert refused.returncode == 1
        assert "a request could come back to itself for ever" in refused.stderr

    def test_stands_in_the_comparison_of_the_models(self, place: Installation) -> None:
        table = place.manage("compare", "--study", "demo").stdout
        row = next(line for line in table.splitlines() if line.startswith("router, measured"))
        assert row.split()[2] == "5"
        assert row.endswith("estimated")
        assert "the answers of the study through, whole prompts sent to the router over HTTP" in table


class TestValidation:
    def test_measures_both_sides_in_one_step_and_goes_on_where_it_is_done(self, place: Installation) -> None:
        run = place.manage("validate_router", "--study", "demo", check=False)
        assert run.returncode == 0, run.stderr
        first = run.stdout
        assert "demo: measured already." in first
        assert "demo-router: finished, 5 of 5 responses" in first
        row = next(line for line in first.splitlines() if line.startswith("router, measured"))
        assert row.split()[2] == "5"
        assert "the answers of the study demo-router" in first
        again = place.manage("validate_router", "--study", "demo").stdout
        assert "demo-router: measured already." in again
        assert rows(place, "SELECT count(*) FROM benchmarks_study WHERE kind = 'router'") == [(2,)]


class TestIndex:
    def test_is_measured_by_the_worker_of_the_demo(self, place: Installation) -> None:
        assert "Building it (embeddings and insertion, n = 5 prompts) took" in place.log

    def test_is_measured_again_on_demand_and_counted_by_break_even(self, place: Installation) -> None:
        said = place.manage("build_index", "--study", "demo", "--measure").stdout
        assert "mgCO2e (estimated; whole machine" in said
        assert "Building the index emitted" in place.manage("break_even", "--study", "demo").stdout
