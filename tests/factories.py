"""Small makers that set only what a test is about."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from django.contrib.auth.hashers import make_password
from django.db.models import Model

from benchmarks.models import (
    CarbonIntensity,
    Category,
    Dataset,
    Deployment,
    InferenceServer,
    IntensityFeed,
    LanguageModel,
    Machine,
    Measurement,
    ParameterSet,
    Prompt,
    Response,
    Study,
)
from benchmarks.scoring import apply_score, basis_of
from benchmarks.studying import Parameters, create_study, start
from greenllm.models import User
from labeling.models import Grade, Label
from labeling.ruling import switch_graders_in
from router.models import Conversation, GatewayRequest, Message, RoutingDecision

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AnyModel = TypeVar("AnyModel", bound=Model)
_numbers = itertools.count(1)


def next_number() -> int:
    """Return a number that no name of the makers had yet."""
    return next(_numbers)


def make_user(username: str = "", *, password: str = "", **facts: Any) -> User:
    """Make a person; without a password none can sign in, and no time goes into hashing it."""
    return User.objects.create_user(username or f"person-{next(_numbers)}", password=password or None, **facts)


def _first(model: type[AnyModel], where: str, *values: str) -> AnyModel | None:
    """Return the first row; most tests ask several times, and Django takes longer to write the question than to ask."""
    query = f"SELECT * FROM {model._meta.db_table} WHERE {where} ORDER BY id LIMIT 1"
    return next(iter(model._default_manager.raw(query, values)), None)


def make_machine(name: str = "test", **facts: Any) -> Machine:
    with_intensity = "EXISTS (SELECT FROM benchmarks_carbonintensity i WHERE i.zone = benchmarks_machine.zone)"
    found = _first(Machine, f"name = %s AND {with_intensity}", name)
    if found is not None:
        return found
    machine, _ = Machine.objects.get_or_create(name=name, defaults=facts)
    if not CarbonIntensity.objects.filter(zone=machine.zone).exists():
        CarbonIntensity.objects.create(zone=machine.zone, gco2e_per_kwh=385, source="test", year=2022)
    return machine


def make_intensity(zone: str = "DE", gco2e_per_kwh: float = 300, **facts: Any) -> CarbonIntensity:
    return CarbonIntensity.objects.create(
        **{"zone": zone, "gco2e_per_kwh": gco2e_per_kwh, "source": "test", "year": 2024, **facts}
    )


def make_feed(zone: str = "DE", *, live: float | None = None, told_at: datetime = NOW, **facts: Any) -> IntensityFeed:
    """Make a zone that a live service is asked about; `live` is what it told, at `told_at`."""
    values = {"zone": zone, "provider": IntensityFeed.Provider.ELECTRICITY_MAPS, **facts}
    if live is not None:
        values["latest"] = make_intensity(zone, live, kind="live_average", year=None, valid_from=told_at)
    return IntensityFeed.objects.create(**values)


def make_server(machine: Machine | None = None, base_url: str = "http://127.0.0.1:1") -> InferenceServer:
    found = _first(InferenceServer, "base_url = %s", base_url)
    return found or InferenceServer.objects.create(
        name=f"server-{next(_numbers)}", base_url=base_url, machine=machine or make_machine()
    )


def make_deployment(
    name: str = "tiny",
    *,
    state: str = Deployment.State.ACTIVE,
    server: InferenceServer | None = None,
    purpose: str = LanguageModel.Purpose.CHAT,
    digest: str = "",
) -> Deployment:
    model, _ = LanguageModel.objects.get_or_create(
        name=name, digest=digest or f"digest-{name}", defaults={"purpose": purpose}
    )
    return Deployment.objects.create(
        language_model=model, server=server or make_server(), state=state, state_changed_at=NOW
    )


def make_prompt(text: str = "", *, category: str = "math", role: str = Prompt.Role.TRAIN, **fields: Any) -> Prompt:
    number = next(_numbers)
    text = text or f"Prompt number {number}?"
    dataset, _ = Dataset.objects.get_or_create(name="test")
    made, _ = Category.objects.get_or_create(name=category)
    values = {"external_id": f"test-{number}", "position": number, "item_text": text, "text": text, "role": role}
    return Prompt.objects.create(dataset=dataset, category=made, **{**values, **fields})


def make_prompts(count: int, *, category: str = "math", role: str = Prompt.Role.TRAIN, **fields: Any) -> list[Prompt]:
    """Make many prompts of one category at once, as `make_prompt` makes each of them."""
    dataset, _ = Dataset.objects.get_or_create(name="test")
    made, _ = Category.objects.get_or_create(name=category)
    return Prompt.objects.bulk_create(
        Prompt(
            dataset=dataset, category=made, external_id=f"test-{number}", position=number, role=role,
            **{"item_text": f"Prompt number {number}?", "text": f"Prompt number {number}?", **fields},
        )
        for number in islice(_numbers, count)
    )  # fmt: skip


def make_study(name: str = "", **fields: Any) -> Study:
    return _make_study(name, **fields)[0]


def _make_study(name: str = "", **fields: Any) -> tuple[Study, ParameterSet]:
    machine = fields.pop("machine", None) or make_machine()
    values = {"name": name or f"study-{next(_numbers)}", "machine": machine, "state": Study.State.RUNNING}
    study = Study.objects.create(**{**values, "carbon_intensity_gco2e_per_kwh": 385.0, **fields})
    return study, ParameterSet.objects.create(study=study)


def make_measurement(energy_j: float | None = 20.0, *, quality: str = "estimated", seconds: float = 1.0) -> Measurement:
    measurement = _measured(make_machine(), energy_j, quality, seconds)
    measurement.save()
    return measurement


def _measured(machine: Machine, energy_j: float | None, quality: str, seconds: float) -> Measurement:
    measurement = Measurement(
        purpose=Measurement.Purpose.RESPONSE,
        machine=machine,
        energy_j=energy_j,
        quality=quality if energy_j is not None else "missing",
        missing_reason="" if energy_j is not None else "a gap",
        time_reserved_s=seconds,
    )
    apply_score(measurement, basis_of(machine, 385.0))
    return measurement


def make_response(
    prompt: Prompt,
    deployment: Deployment,
    *,
    study: Study | None = None,
    energy_j: float | None = 20.0,
    quality: str = "estimated",
    verdict: str = "",
    text: str = "An answer.",
    **fields: Any,
) -> Response:
    parameter_set = fields.pop("parameter_set", None)
    if study is None:
        study, own_set = _make_study()
        parameter_set = parameter_set or own_set
    response = Response.objects.create(
        study=study,
        prompt=prompt,
        deployment=deployment,
        parameter_set=parameter_set or study.parameter_sets.get(),
        state=Response.State.FINISHED,
        finished_at=NOW,
        text=text,
        measurement=make_measurement(energy_j, quality=quality),
        **fields,
    )
    if verdict:
        make_grader_label(response, verdict)
    return response


Judged = tuple[float, str]  # energy of an answer in J, and the verdict on it


def make_responses(
    answers: Iterable[tuple[Prompt, Deployment, dict[str, Any]]], *, study: Study | None = None
) -> list[Response]:
    """Make many responses of one study at once, as `make_response` makes each of them by such facts."""
    study, parameter_set = (study, study.parameter_sets.get()) if study is not None else _make_study()
    machine, rows = make_machine(), [(prompt, deployment, dict(facts)) for prompt, deployment, facts in answers]
    measured = [
        _measured(machine, facts.pop("energy_j", 20.0), facts.pop("quality", "estimated"), 1.0) for *_, facts in rows
    ]
    verdicts = [facts.pop("verdict", "") for *_, facts in rows]
    values = {"finished_at": NOW, "state": Response.State.FINISHED, "text": "An answer."}
    responses = Response.objects.bulk_create(
        Response(
            study=study, prompt=prompt, deployment=deployment, measurement=measurement,
            **{"parameter_set": parameter_set, **values, **facts},
        )
        for (prompt, deployment, facts), measurement in zip(
            rows, Measurement.objects.bulk_create(measured), strict=True
        )
    )  # fmt: skip
    _label_by_grader(responses, verdicts)
    return responses


def _label_by_grader(responses: Sequence[Response], verdicts: Sequence[str]) -> None:
    """Label those with a verdict, in categories in which graders may label from then on."""
    judged = [(response, verdict) for response, verdict in zip(responses, verdicts, strict=True) if verdict]
    for category in dict.fromkeys(response.prompt.category for response, _ in judged):
        switch_graders_in(category=category, is_on=True, person_id=None)
    grades = Grade.objects.bulk_create(_graded(response, verdict) for response, verdict in judged)
    Label.objects.bulk_create(map(_labeled, grades))


def make_known(
    *rows: tuple[str, str, dict[Deployment, Judged]], study: Study | None = None, labeler: User | None = None
) -> list[Prompt]:
    """Make many prompts at once, each of a text and a category, and the judged answers to each, of one study.

    A grader judges them, where no person is named.
    """
    dataset, _ = Dataset.objects.get_or_create(name="test")
    categories = {name: Category.objects.get_or_create(name=name)[0] for name in {name for _, name, _ in rows}}
    prompts = Prompt.objects.bulk_create(
        Prompt(
            dataset=dataset, category=categories[name], external_id=f"test-{number}", position=number, item_text=text,
            text=text, role=Prompt.Role.TRAIN,
        )
        for number, (text, name, _) in zip(_numbers, rows, strict=False)
    )  # fmt: skip
    answers = [
        (prompt, deployment, *judged)
        for prompt, (_, _, by_model) in zip(prompts, rows, strict=True)
        for deployment, judged in by_model.items()
    ]
    responses = make_responses(
        ((prompt, model, {"energy_j": energy_j}) for prompt, model, energy_j, _ in answers), study=study
    )
    verdicts = [verdict for _, _, _, verdict in answers]
    if labeler is None:
        _label_by_grader(responses, verdicts)
    else:
        make_labels(responses, verdicts, labeler=labeler)
    return prompts


def make_grader_label(response: Response, verdict: str) -> Label:
    """Make a label of a grader, in a category in which graders may label."""
    switch_graders_in(category=response.prompt.category, is_on=True, person_id=None)
    grade = _graded(response, verdict)
    grade.save()
    label = _labeled(grade)
    label.save()
    return label


def _graded(response: Response, verdict: str) -> Grade:
    return Grade(
        response=response, grader="test", grader_version=1, verdict=verdict, reason="test", duration_ms=0.1
    )  # fmt: skip


def _labeled(grade: Grade) -> Label:
    return Label(response=grade.response, verdict=grade.verdict, source=Label.Source.GRADER, grade=grade)


def make_label(response: Response, verdict: str = "correct", **facts: Any) -> Label:
    """Make a label of a person; of somebody new where none is named."""
    labeler = facts.pop("labeler") if "labeler" in facts else make_user()
    return Label.objects.create(
        response=response, verdict=verdict, source=Label.Source.PERSON, labeler=labeler, **facts
    )


def make_users(count: int) -> list[User]:
    """Make many people at once who cannot sign in."""
    nobodys = make_password(None)
    return User.objects.bulk_create(User(username=f"person-{n}", password=nobodys) for n in islice(_numbers, count))


def make_labels(
    responses: Sequence[Response], verdicts: Sequence[str], *, labeler: User | None = None, **facts: Any
) -> list[Label]:
    """Make many labels at once, one of each response; each of somebody new where no person is named."""
    people = make_users(len(responses)) if labeler is None else [labeler] * len(responses)
    return Label.objects.bulk_create(
        Label(response=response, verdict=verdict, source=Label.Source.PERSON, labeler=person, **facts)
        for response, verdict, person in zip(responses, verdicts, people, strict=True)
    )


def make_pending_study(base_url: str, *texts: str, models: Sequence[str] = ("tiny",), **options: Any) -> Study:
    """Make a study that runs, with one response to come for each model of the server and each prompt."""
    machine = options.pop("machine", None) or make_machine()
    server = make_server(machine, base_url)
    study = create_study(
        name=f"study-{next(_numbers)}",
        machine=machine,
        deployments=[make_deployment(name, server=server) for name in models],
        prompts=[make_prompt(text) for text in texts],
        parameters=options.pop("parameters", Parameters()),
        **options,
    )
    study.cooldown_limit_c = 0  # tests run on warm machines too
    study.save(update_fields=["cooldown_limit_c"])
    start(study=study, now=NOW)
    return study


def make_gateway_request(**fields: Any) -> GatewayRequest:
    values = {"public_id": f"req_{next(_numbers)}", "surface": "command", "requested_model": "auto", "started_at": NOW}
    return GatewayRequest.objects.create(**{**values, **fields})


def make_decision(**fields: Any) -> RoutingDecision:
    values = {"policy": "nearest", "reason": "cheapest_correct", "explanation": "It was right.", "decided_at": NOW}
    return RoutingDecision.objects.create(**{**values, **fields})


def make_conversation(**fields: Any) -> Conversation:
    values = {
        "public_id": f"conv_{next(_numbers)}", "title": "A question", "picked_model": "auto", "created_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    return Conversation.objects.create(**{**values, **fields})


def make_message(conversation: Conversation, text: str = "A question", **fields: Any) -> Message:
    values = {"role": Message.Role.USER, "text": text, "created_at": NOW}
    return Message.objects.create(conversation=conversation, **{**values, **fields})
