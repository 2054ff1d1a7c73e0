"""GET /v1/openapi.json: the document of the endpoint, for anyone."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from router.wires.document import openapi_document


@require_safe
def openapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(openapi_document())
