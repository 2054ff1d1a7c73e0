"""A study with everything that a bundle carries, and what a bundle of it looks like from outside."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from benchmarks.meters.base import Reading
from benchmarks.models import (
    ChannelReading,
    Deployment,
    EnergyTrace,
    Machine,
    Measurement,
    Response,
    ResponseAttempt,
    Study,
)
from benchmarks.studying import Parameters, create_study
from benchmarks.traces import pack
from greenllm.bundles.carriage import pack_study, unpack_study
from labeling.models import GoldAnswer, Grade, Guideline, Label
from tests import factories as make

OTHER_DAY = make.NOW + timedelta(days=40)
Row = dict[str, Any]


def make_rich_study(name: str = "rich") -> Study:
    """Make 2 models x 3 prompts x 2 repeats: measured, simulated, missing, failed; judged twice by two people."""
    machine = make.make_machine("lab", cpu_model="Xeon", cpu_count=8)
    server = make.make_server(machine, "http://127.0.0.1:11434")
    server.api_key_variable = "SECRET_KEY_OF_LAB"
    server.save()
    prompts = [
        make.make_prompt("What is 1 + 1?", item_text="1 + 1", checks={"kind": "number", "value": "2"}),
        make.make_prompt("Grüß Gott, \u2028übersetze!", category="translation"),
        make.make_prompt("What is 2 + 2?", role="validation"),
    ]
    study = create_study(
        name=name,
        machine=machine,
        deployments=[make.make_deployment(model, server=server) for model in ("small", "large")],
        prompts=prompts,
        parameters=Parameters(extras={"repeat_penalty": 1.1}),
        repeats=2,
        order=Study.Order.INTERLEAVED,
    )
    for number, response in enumerate(study.responses.in_order()):
        _answer(response, number)
    Machine.objects.exclude(pk=machine.pk).delete()  # of the makers
    _judge(study)
    study.state, study.started_at, study.finished_at = Study.State.FINISHED, make.NOW, OTHER_DAY
    study.machine_snapshot = {"name": "lab", "cpu_model": "Xeon"}
    study.save()
    Study.objects.filter(pk=study.pk).update(created_at=make.NOW)
    study.refresh_from_db()
    return study


def _answer(response: Response, number: int) -> None:
    ResponseAttempt.objects.create(
        response=response, number=1, outcome="failed", error_kind="Lost", error="gone", started_at=make.NOW,
        ended_at=OTHER_DAY, worker="lab.7",
    )  # fmt: skip
    if number == 3:
        response.state, response.error = Response.State.FAILED, "It failed three times."
        response.save()
        return
    measurement = make.make_measurement(None if number == 5 else 10.1 + number / 3, quality="measured")
    measurement.machine = response.study.machine
    measurement.started_at, measurement.started_monotonic_ns = make.NOW, 10**15 + number
    measurement.save()
    if measurement.energy_j is not None:
        ChannelReading.objects.create(
            measurement=measurement, channel="machine", meter="mcp", is_in_boundary=True,
            energy_j=measurement.energy_j, mean_power_mw=1 / 3, sample_count=3, coverage=0.99, quality="measured",
        )  # fmt: skip
        if number == 2:
            samples = [Reading(10**15 + n * 99_000_000, 99_000_000, 40_000 - n) for n in range(3)]
            EnergyTrace.of(
                pack(samples, 99_000_000, 99_000_000), measurement=measurement, channel="machine"
            ).save()  # fmt: skip
        else:
            _keep_arrays(measurement)
    response.state, response.finished_at, response.text = Response.State.FINISHED, OTHER_DAY, f"Answer {number} \u00e9"
    response.measurement = measurement
    response.output_token_count, response.eval_duration_ns = 17 + number, 2**40 + number
    response.save()
    ResponseAttempt.objects.create(
        response=response, number=2, outcome="finished", started_at=make.NOW, ended_at=OTHER_DAY
    )


def _keep_arrays(measurement: Measurement) -> None:
    """Keep a trace in format version 1."""
    EnergyTrace.objects.create(
        measurement=measurement, channel="machine", period_ns=99_000_000, window_ns=99_000_000,
        first_at_ns=10**15, offset_unit_ns=1000, sample_count=3, offsets=[0, None, -5, 7],
        values=[41_000, None, 39_500, 2**31 - 1],
    )  # fmt: skip


def _judge(study: Study) -> None:
    guideline = Guideline.objects.create(version=1, text="Judge what is said.")
    people = [make.make_user(name) for name in ("ada", "bert")]
    for number, response in enumerate(study.responses.finished().in_order()):
        grade = Grade.objects.create(
            response=response, grader="number", grader_version=2, verdict="correct", score=0.5, reason="as told",
            extracted={"value": "2"}, duration_ms=0.25,
        )  # fmt: skip
        Label.objects.create(response=response, verdict="correct", source="grader", grade=grade)
        first = make.make_label(response, "incorrect", labeler=people[number % 2], guideline=guideline)
        first.is_current = False
        first.save()
        verdict = "correct" if number % 3 else "incorrect"
        make.make_label(response, verdict, labeler=people[number % 2], supersedes=first, active_seconds=4.5)
    for gold_verdict, retired_at in (("incorrect", OTHER_DAY), ("correct", None)):
        GoldAnswer.objects.create(
            response=study.responses.finished().in_order()[1], verdict=gold_verdict, reason="as the book has it",
            set_by=people[0], retired_at=retired_at,
        )  # fmt: skip
    GoldAnswer.objects.update(created_at=OTHER_DAY)
    Grade.objects.update(created_at=OTHER_DAY)
    Label.objects.update(created_at=OTHER_DAY)
    Guideline.objects.update(created_at=OTHER_DAY)


def packed(study: Study, **options: Any) -> io.BytesIO:
    """Return a study's bundle."""
    file = io.BytesIO()
    pack_study(study=study, file=file, now=make.NOW, **options)
    file.seek(0)
    return file


def members_of(file: io.BytesIO) -> dict[str, bytes]:
    """Return the members of a bundle but for its manifest."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


def rows_of(file: io.BytesIO, name: str) -> list[Row]:
    return [json.loads(line) for line in members_of(file)[f"{name}.jsonl"].splitlines()]


def edited(file: io.BytesIO, name: str, edit: Callable[[list[Row]], None]) -> io.BytesIO:
    """Return a bundle with other rows in one member, and hashes that fit."""
    members = members_of(file)
    rows = rows_of(file, name)
    edit(rows)
    member = f"{name}.jsonl"
    members[member] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    with zipfile.ZipFile(file) as archive:
        stated = json.loads(archive.read("manifest.json"))
    for facts in stated["members"]:
        if facts["name"] == member:
            text = members[member]
            facts |= {"sha256": hashlib.sha256(text).hexdigest(), "byte_count": len(text), "line_count": len(rows)}
    if name == "study":
        stated["study_uuid"] = rows[0]["uuid"]
    return _zipped(members, stated)


def _zipped(members: dict[str, bytes], stated: Row) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        archive.writestr("manifest.json", json.dumps(stated))
    made.seek(0)
    return made


def unpacked(file: io.BytesIO, **options: Any) -> Study:
    """Import a bundle and return its study."""
    file.seek(0)
    return unpack_study(file=file, now=OTHER_DAY, **options).study


@cache
def _rich_bytes() -> bytes:
    with transaction.atomic():
        text = packed(make_rich_study()).getvalue()
        transaction.set_rollback(True)
    return text


def rich_bundle() -> io.BytesIO:
    """Return a bundle of a rich study that is not here; made once, because most tests only read it."""
    return io.BytesIO(_rich_bytes())


def lacking(file: io.BytesIO, name: str) -> io.BytesIO:
    """Return a bundle without one of its members, as an older version made it."""
    member = f"{name}.jsonl"
    with zipfile.ZipFile(file) as archive:
        stated = json.loads(archive.read("manifest.json"))
    stated["members"] = [facts for facts in stated["members"] if facts["name"] != member]
    stated["counts"].pop(name, None)
    return _zipped({kept: text for kept, text in members_of(file).items() if kept != member}, stated)


def wipe() -> None:
    """Empty the database, as that of another installation is; foreign keys are deferred, so in any order."""
    with transaction.atomic(), connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name.split("_")[0] in {"benchmarks", "labeling", "router"} or name == "greenllm_user":
                cursor.execute(f"DELETE FROM {name}")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def activate_everything() -> None:
    Deployment.objects.update(state=Deployment.State.ACTIVE)


def bundle_file(folder: Path, study: Study, name: str = "study.zip") -> Path:
    path = folder / name
    path.write_bytes(packed(study).getvalue())
    return path
