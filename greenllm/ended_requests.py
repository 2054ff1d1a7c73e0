"""What a page leaves behind once its answer is sent: nothing that waits for the garbage collector.

Django's middleware hangs on a request what holds the request in turn (its user, its messages, what htmx asked), and the
context of a template holds dictionaries that hold the context. Each page left some 150 objects in such rings, with the
answers it showed; until a collection found them they raised what Python's allocator holds at most, which it keeps.
"""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.template.backends import django as backend
from django.template.context import make_context
from django.utils.safestring import SafeString

from greenllm.one_hop import OneHop


class PassingRequest(ASGIRequest):
    """A request that lets go of everything at its end, which Django tells it after the last byte of the answer."""

    def close(self) -> None:
        """Close the files that came with it, and hold nothing from now on."""
        super().close()
        vars(self).clear()


class Pages(OneHop):
    """Django, whose requests are gone with their answers."""

    request_class = PassingRequest


class PassingTemplate(backend.Template):
    """A template whose context is gone once the page is rendered."""

    def render(self, context: dict[str, Any] | None = None, request: HttpRequest | None = None) -> SafeString:
        """Return the page; a context is left as it stands where that fails, for whoever looks at the error."""
        values = make_context(context, request, autoescape=self.backend.engine.autoescape)
        try:
            rendered = self.template.render(values)
        except TemplateDoesNotExist as error:
            backend.reraise(error, self.backend)
        values.dicts.clear()
        return rendered


class DjangoTemplates(backend.DjangoTemplates):
    """Django's own templates, whose contexts are gone once a page is rendered."""

    def from_string(self, template_code: str) -> PassingTemplate:
        """Return the template of a text."""
        return PassingTemplate(super().from_string(template_code).template, self)

    def get_template(self, template_name: str) -> PassingTemplate:
        """Return the template of a name."""
        return PassingTemplate(super().get_template(template_name).template, self)
