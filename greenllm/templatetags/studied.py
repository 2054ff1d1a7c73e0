"""Look-ups that templates of study pages need."""

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def of(words: Mapping[str, str], name: object) -> str:
    """Return what a mapping holds for a name, nothing where it has none."""
    return words.get(str(name), "")
