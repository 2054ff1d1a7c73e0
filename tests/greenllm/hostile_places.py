"""Hostile texts in every field that people, models and servers fill, and the pages that show them."""

from benchmarks.models import Category, Dataset, Deployment, Prompt, Response, Study
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import Flag, Guideline
from tests import factories as make
from tests.fuzz.hostile_texts import HOSTILE

SHOWN_AT_ONCE = "\n\n".join(HOSTILE)
STUDY = "hostile"


def make_hostile_places() -> tuple[Study, Response]:
    """Fill the name of a model, a server, a category, a data set, prompts, answers, comments and all else with them."""
    study = make.make_study(STUDY, title=HOSTILE[3])
    deployment = make.make_deployment(HOSTILE[4])
    server = deployment.server
    type(server).objects.filter(pk=server.pk).update(name=HOSTILE[26][:60])
    category = Category.objects.create(name=HOSTILE[8][:40], title=HOSTILE[9][:100])
    dataset = Dataset.objects.create(name=HOSTILE[3][:40])
    responses = []
    for number, text in enumerate((SHOWN_AT_ONCE, HOSTILE[1], HOSTILE[24])):
        prompt = Prompt.objects.create(
            dataset=dataset, category=category, external_id=HOSTILE[6][:80] + str(number), position=number + 1,
            item_text=text, text=text, reference=text, role=Prompt.Role.TRAIN,
        )  # fmt: skip
        responses.append(make.make_response(prompt, deployment, study=study, text=text, error=HOSTILE[5]))
    study.targets.create(deployment=deployment, position=1)
    Guideline.objects.create(category=category, version=1, text=SHOWN_AT_ONCE)
    return study, responses[0]


def make_hostile_talk(person: User) -> str:
    conversation = make.make_conversation(title=HOSTILE[0], owner=person, system_prompt=SHOWN_AT_ONCE)
    question = make.make_message(conversation, SHOWN_AT_ONCE)
    conversation.tip = make.make_message(conversation, SHOWN_AT_ONCE, role="assistant", parent=question)
    conversation.save()
    return f"/chat/{conversation.public_id}/"


def pages_of(response: Response, talk: str) -> dict[str, str]:
    """Return the pages that show them by what they are."""
    deployment = Deployment.objects.get()
    return {
        "the chat": talk,
        "the labeling page": "/label/?study=&category=",
        "the history": "/label/history/",
        "the flags": "/label/flags/",
        "the guidelines": "/label/guidelines/",
        "the quality": "/label/quality/",
        "a response": f"/responses/{response.pk}/",
        "a study": f"/studies/{STUDY}/",
        "the studies": "/studies/",
        "the spread": f"/studies/{STUDY}/spread/",
        "a report": f"/studies/{STUDY}/report/",
        "a report as a file": f"/studies/{STUDY}/report/file.html",
        "the federation": "/federation/",
        "a model": f"/federation/models/{deployment.pk}/",
        "the admin's prompts": "/admin/benchmarks/prompt/",
        "the admin's models": "/admin/benchmarks/languagemodel/",
    }


def make_admin() -> User:
    person = make.make_user("ada", is_superuser=True, is_staff=True)
    grant_role(user=person, role=Role.ADMIN)
    return person


def judged(person: User, response: Response) -> None:
    """Comment and flag an answer, so that the pages of judgements have something to show."""
    other = Response.objects.exclude(pk=response.pk).earliest("pk")
    make.make_label(other, "incorrect", labeler=person, comment=SHOWN_AT_ONCE)
    Flag.objects.create(response=other, person=person, reason=HOSTILE[11], created_at=make.NOW)
