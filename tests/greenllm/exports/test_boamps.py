"""BoAmps reports: their fields and enumerations, and the sums in them."""

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator

from benchmarks.models import LanguageModel, Measurement, Study
from greenllm.exports.boamps import boamps_reports
from tests import factories as make
from tests.greenllm.exports.mixed import make_mixed_study

pytestmark = pytest.mark.django_db

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"}


def of(required: str = "", **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has no other properties: a misspelt one would be overlooked by readers."""
    return {
        "type": "object", "properties": properties, "additionalProperties": False,
        **({"required": required.split()} if required else {}),
    }  # fmt: skip


def some(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


# written from the tables of fields that Boavizta documents
SCHEMA = of(
    "header task measures infrastructure",
    header=of(
        "reportDatetime", formatVersionSpecificationUri=_TEXT, reportId=_TEXT, reportDatetime=_MOMENT,
        reportStatus={"enum": ["draft", "final", "corrective", "other"]},
        publisher=of(
            "confidentialityLevel", projectName=_TEXT,
            confidentialityLevel={"enum": ["public", "internal", "confidential", "secret"]},
        ),
    ),
    task=of(
        "taskStage taskFamily algorithms dataset", taskStage=_TEXT, taskFamily=_TEXT, nbRequest=_NUMBER,
        algorithms=some(of(
            algorithmType=_TEXT, foundationModelName=_TEXT, framework=_TEXT, parametersNumber=_NUMBER,
            quantization=_TEXT,
        )),
        dataset=some(of(
            "dataUsage dataType", dataUsage={"enum": ["input", "output"]}, dataType={"enum": ["token"]},
            dataQuantity=_NUMBER,
        )),
        measuredAccuracy={"type": "number", "minimum": 0, "maximum": 1}, taskDescription=_TEXT,
    ),
    measures=some(of(
        "measurementMethod powerConsumption", measurementMethod=_TEXT, version=_TEXT, powerConsumption=_NUMBER,
        measurementDuration=_NUMBER, measurementDateTime=_MOMENT,
    )),
    infrastructure=of(
        "infraType components", infraType={"enum": ["publicCloud", "privateCloud", "onPremise", "other"]},
        components=some(of(
            "componentType nbComponent", componentType=_TEXT, nbComponent={"type": "integer"}, componentName=_TEXT,
            memorySize={"type": "integer"}, share={"type": "number", "minimum": 0, "maximum": 1},
        )),
    ),
    environment=of("country", country=_TEXT, powerSourceCarbonIntensity=_NUMBER),
)  # fmt: skip


def reports_of(study: Study) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(report)) for _, report in boamps_reports(study=study, now=make.NOW)]


class TestReports:
    def test_have_the_fields_of_the_format(self) -> None:
        reports = reports_of(make_mixed_study())
        assert len(reports) == 2
        for report in reports:
            Draft4Validator(SCHEMA).validate(report)

    def test_add_up_to_the_energy_of_the_database(self) -> None:
        tiny, other = reports_of(make_mixed_study())
        (measure,) = tiny["measures"]
        assert measure["powerConsumption"] == (10.1 + 20.7) / 3_600_000
        assert measure["measurementDuration"] == 2.0
        assert measure["measurementMethod"] == "GreenLLM, measured at the wall: the processor"
        assert other["measures"][0]["powerConsumption"] == pytest.approx((33.3 + 0.004 + 7.77) / 3_600_000, rel=1e-15)

    def test_count_only_answers_with_an_energy(self) -> None:
        tiny, other = reports_of(make_mixed_study())
        assert (tiny["task"]["nbRequest"], other["task"]["nbRequest"]) == (2, 3)
        assert [part["dataQuantity"] for part in tiny["task"]["dataset"]] == [10, 5]  # of one request
        assert "2 of 3 answers" in tiny["task"]["taskDescription"]

    def test_tell_accuracy_from_verdicts_that_are_decided(self) -> None:
        tiny, other = reports_of(make_mixed_study())
        assert tiny["task"]["measuredAccuracy"] == 1.0
        assert other["task"]["measuredAccuracy"] == 1.0  # of two; about the third its judges disagree

    def test_leave_out_what_is_not_known(self) -> None:
        study = make_mixed_study()
        study.machine_snapshot = {}
        study.responses.update(output_token_count=None)
        report = reports_of(study)[0]
        Draft4Validator(SCHEMA).validate(report)
        assert "environment" not in report
        assert "dataQuantity" not in report["task"]["dataset"][1]

    def test_name_the_gpus_that_were_measured(self) -> None:
        study = make_mixed_study()
        facts = {"gpu-GPU-1": "NVIDIA L4, power_mw", "gpu-GPU-2": "NVIDIA L4, power_mw"}
        for measurement in Measurement.objects.filter(response__study=study, energy_j__isnull=False):
            for channel in facts:
                measurement.readings.create(
                    channel=channel, meter="nvml", is_in_boundary=True, energy_j=1.0, quality="component",
                    sample_count=9, coverage=1.0, meter_facts=facts,
                )  # fmt: skip
        components = reports_of(study)[0]["infrastructure"]["components"]
        assert components[-1] == {
            "componentType": "gpu", "nbComponent": 2, "componentName": "NVIDIA L4", "share": 1.0,
        }  # fmt: skip

    def test_leave_out_a_duration_that_is_not_known_of_all(self) -> None:
        study = make_mixed_study()
        first = study.responses.order_by("sequence")[0].measurement
        assert first is not None
        first.sci_gco2e = first.time_reserved_s = None
        first.save()
        tiny, other = reports_of(study)
        assert "measurementDuration" not in tiny["measures"][0]
        assert "measurementDuration" in other["measures"][0]

    def test_say_what_is_simulated(self) -> None:
        report = reports_of(make_mixed_study(quality="simulated"))[0]
        assert report["measures"][0]["measurementMethod"].startswith("GreenLLM, simulated")
        assert "no device measured it" in report["task"]["taskDescription"]

    @pytest.mark.parametrize(("size", "billions"), [("134.52M", 0.13452), ("8B", 8.0), ("large", None), ("", None)])
    def test_give_parameters_in_billions(self, size: str, billions: float | None) -> None:
        study = make_mixed_study()
        LanguageModel.objects.update(parameter_size=size)
        assert reports_of(study)[0]["task"]["algorithms"][0].get("parametersNumber") == (
            None if billions is None else pytest.approx(billions)
        )
