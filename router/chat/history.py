"""What a person does with conversations of before: rename one, take it along as a file, delete it for good."""

import json
from http import HTTPStatus

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from benchmarks.sending import announce_file
from router.chat.views import chat_page, own_conversation, welcoming
from router.conversation_export import conversation_as_json, conversation_as_markdown
from router.conversing import TitleRefused, delete_conversation, rename_conversation
from router.models import Conversation


@require_POST
@welcoming
def rename(request: HttpRequest, public_id: str) -> HttpResponse:
    found = own_conversation(request, public_id)
    try:
        rename_conversation(conversation=found, title=request.POST.get("title", ""))
    except TitleRefused as error:
        return chat_page(request, found, problem=str(error), status=HTTPStatus.BAD_REQUEST)
    return HttpResponseRedirect(reverse("chat:conversation", args=[public_id]))


@require_POST
@welcoming
def delete(request: HttpRequest, public_id: str) -> HttpResponse:
    delete_conversation(conversation=own_conversation(request, public_id))
    return HttpResponseRedirect(reverse("chat:start"))


@require_safe
@never_cache
@welcoming
def export_json(request: HttpRequest, public_id: str) -> HttpResponse:
    found = own_conversation(request, public_id)
    response = _announced(found, "json", "application/json")
    if request.method == "GET":
        told = conversation_as_json(found)
        response.content = json.dumps(told, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    return response


@require_safe
@never_cache
@welcoming
def export_markdown(request: HttpRequest, public_id: str) -> HttpResponse:
    found = own_conversation(request, public_id)
    response = _announced(found, "md", "text/markdown; charset=utf-8")
    if request.method == "GET":
        response.content = conversation_as_markdown(found)
    return response


def _announced(found: Conversation, ending: str, content_type: str) -> HttpResponse:
    name = slugify(found.title)[:60].strip("-") or "conversation"
    return announce_file(name=f"{name}.{ending}", content_type=content_type)
