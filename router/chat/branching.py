"""Show another version of a turn, or say what one thinks of an answer; what was being written stays in its box."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from router.branches import NoSuchTurn, give_thumb, show_branch
from router.chat.sending import Unacceptable, number_of, page_with_problem
from router.chat.views import chat_page, own_conversation, thread, welcoming
from router.models import Conversation, Message


@require_POST
@welcoming
def show(request: HttpRequest) -> HttpResponse:
    """Show the newest branch through a turn; the script gets the turns alone."""
    conversation = own_conversation(request, request.POST.get("conversation", ""))
    try:
        turn_id = number_of(request.POST.get("turn", ""))
        show_branch(conversation=conversation, turn_id=turn_id)
    except Unacceptable as error:
        return page_with_problem(request, str(error), error.status)
    except NoSuchTurn as error:
        return page_with_problem(request, str(error), HTTPStatus.CONFLICT)
    return _shown(request, conversation, turn_id)


@require_POST
@welcoming
def thumb(request: HttpRequest) -> HttpResponse:
    """Note a thumb up or down for an answer, or take it back."""
    conversation = own_conversation(request, request.POST.get("conversation", ""))
    given = next((one for one in Message.Thumb.values if one in request.POST), Message.Thumb.UP)
    try:
        answer_id = number_of(request.POST.get(given, ""))
        give_thumb(conversation=conversation, answer_id=answer_id, thumb=given)
    except Unacceptable as error:
        return page_with_problem(request, str(error), error.status)
    except NoSuchTurn as error:
        return page_with_problem(request, str(error), HTTPStatus.CONFLICT)
    return _shown(request, conversation, answer_id)


def _shown(request: HttpRequest, conversation: Conversation, turn_id: int) -> HttpResponse:
    if request.headers.get("X-Part") == "thread":
        return thread(request, conversation)
    draft = request.POST.get("prompt", "")
    if draft.strip():
        return chat_page(request, conversation, prompt=draft)
    return HttpResponseRedirect(f"{reverse('chat:conversation', args=[conversation.public_id])}#turn-{turn_id}")
