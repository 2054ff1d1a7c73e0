"""An installation with a row for every address, and somebody at every door."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import get_resolver, reverse
from django.utils import timezone

from benchmarks.models import Dataset
from greenllm.access import Visitor
from greenllm.account.inviting import password_path
from greenllm.exports.writing import KINDS
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.campaign import CampaignNotice
from labeling.correction import Correction
from labeling.models import Flag, GoldAnswer, Guideline
from router.keeping import LIVE_DATASET
from router.keys import create_key
from router.models import Evaluation, PolicyVersion
from tests import factories as make
from tests.bench.routes import leaves

ROLE_OF = {
    Visitor.RESEARCHER: Role.RESEARCHER,
    Visitor.ANNOTATOR: Role.ANNOTATOR,
    Visitor.ADJUDICATOR: Role.ADJUDICATOR,
    Visitor.ADMIN: Role.ADMIN,
    Visitor.OWNER: Role.ANNOTATOR,
}
NOT_DJANGO = ("openai", "ollama")  # answered by the endpoint, to keys


@dataclass(frozen=True)
class Address:
    """One route of the URL configuration, with rows in its address."""

    name: str
    path: str
    body: dict[str, str]  # what a form would name the row by


@dataclass(frozen=True)
class World:
    """People by how they stand at the doors, and every address of the installation."""

    people: dict[Visitor, User]
    addresses: list[Address]


def make_world() -> World:
    people = {one: make_visitor(one) for one in Visitor if one not in {Visitor.UNNAMED, Visitor.LOCAL}}
    rows = make_rows(people[Visitor.OWNER])
    return World(people, [address_of(name, arguments, rows) for name, arguments in named_routes()])


def make_visitor(visitor: Visitor) -> User:
    is_superuser = visitor is Visitor.SUPERUSER
    person = make.make_user(is_staff=is_superuser or visitor is Visitor.STAFF, is_superuser=is_superuser)
    if visitor in ROLE_OF:
        grant_role(user=person, role=ROLE_OF[visitor])
    return person


def named_routes() -> list[tuple[str, tuple[str, ...]]]:
    """Return every route with what stands in its address; the admin's unnamed ones are in `unnamed_paths`."""
    found = {(one.name, one.arguments) for one in leaves(get_resolver(), (), ()) if not one.name.endswith(":")}
    return sorted(found)


def address_of(name: str, arguments: tuple[str, ...], rows: dict[str, Any]) -> Address:
    space = name.partition(":")[0]
    values = {
        one: rows.get(f"{name}.{one}", rows.get(f"{space}.{one}", "1" if space == "admin" else None))
        for one in arguments
    }
    missing = [one for one, value in values.items() if value is None]
    assert not missing, f"{name}: say in {__name__} which row stands for {missing}"
    path = _UNKNOWN.get(name) or reverse(name, kwargs=values)
    return Address(name, path + rows.get(f"{name}?", ""), rows.get(f"{name}=", {}))


_UNKNOWN = {"openai:unknown": "/v1/no-such-thing", "ollama:unknown": "/api/no-such-thing"}


def make_rows(owner: User) -> dict[str, Any]:
    """Make a row for every kind of address; what can belong to somebody belongs to the owner."""
    now = timezone.now()
    study, tiny = make.make_study("campaign"), make.make_deployment("tiny")
    response = make.make_response(make.make_prompt(), tiny, study=study, verdict="correct")
    label = make.make_label(make.make_response(make.make_prompt(), tiny, study=study), labeler=owner)
    admin_of_rows = make.make_user()
    flag = Flag.objects.create(response=response, person=owner, reason="unclear", created_at=now)
    gold = GoldAnswer.objects.create(response=response, verdict="correct", reason="It is so.", set_by=admin_of_rows)
    guideline = Guideline.objects.create(category=response.prompt.category, version=1, text="Be strict.")
    correction = Correction.objects.create(
        annotator=owner, until=now, reason="A mistake.", made_by=admin_of_rows, created_at=now
    )
    notice = CampaignNotice.objects.create(
        study=study, kind=CampaignNotice.Kind.ENDED, noticed_at=now, latest_label_at=now, answer_count=1
    )
    kept = make.make_prompt("kept")
    kept.dataset = Dataset.objects.create(name=LIVE_DATASET)
    kept.save(update_fields=["dataset"])
    version = PolicyVersion.objects.create(policy="nearest")
    evaluation = Evaluation.objects.create(study=study, outcomes=study.name, created_at=now)
    conversation = make.make_conversation(owner=owner)
    question = make.make_message(conversation)
    answer = make.make_message(conversation, "An answer", role="assistant", parent=question)
    key = create_key(owner_id=owner.pk, name="own").key
    _, uid, token = password_path(person=admin_of_rows, by=admin_of_rows).rstrip("/").rsplit("/", 2)
    return {
        **dict.fromkeys(("studies.name", "reports.name", "exports.name", "comparing.name", "bundles.name"), study.name),
        "studies.pk": response.pk, "studies.per": "prompts", "exports.kind": next(iter(KINDS)),
        "reports.format_name": "md",
        "dashboards.chart": "mean-sci", "operations.chart": "saving", "quality.table": "people",
        "labeling.label_id": label.pk, "labeling.flag_id": flag.pk, "labeling.gold_id": gold.pk,
        "labeling.guideline_id": guideline.pk, "labeling.correction_id": correction.pk,
        "notices.notice_id": notice.pk, "federation.prompt_id": kept.pk, "federation.deployment_id": tiny.pk,
        "routing.version_id": version.pk, "routing.evaluation_id": evaluation.pk, "routing.table": "policies",
        "chat.public_id": conversation.public_id,
        "chat:show=": {"conversation": conversation.public_id, "turn": str(answer.pk)},
        "chat:thumb=": {"conversation": conversation.public_id, "up": str(answer.pk)},
        "chat:refuse=": {"conversation": conversation.public_id},  # which answer is not said: nothing is generated
        "chat:regenerate=": {"conversation": conversation.public_id},
        "labeling:download-labels?": f"?study={study.name}&format=jsonl",
        "quality:answers?": "?grade=correct&verdict=incorrect",
        "dashboards:compare=": {"study": study.name},
        "account.key_id": key.pk, "account.person_id": admin_of_rows.pk,
        "account.uidb64": uid, "account.token": token,
        "openai.public_id": "req_none", "openai.name": "tiny", "ollama.digest": "sha256:0",
        "admin.app_label": "benchmarks", "admin.content_type_id": ContentType.objects.get_for_model(User).pk,
        **_rows_of_admin(),
    }  # fmt: skip


def _rows_of_admin() -> dict[str, Any]:
    """Return a row for each table of the admin that has one."""
    found = {}
    for model in admin.site._registry:
        if model._meta.managed and (row := model._default_manager.order_by("pk").last()) is not None:
            for act in ("change", "delete", "history"):
                found[f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}.object_id"] = row.pk
    return found


def all_roles_in_one() -> User:
    """Make somebody with every role, who is no staff: what is shut to them is shut to each of the roles."""
    person = make.make_user()
    for role in Role:
        grant_role(user=person, role=role)
    return person
