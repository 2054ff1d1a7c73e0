"""The roles of GreenLLM: groups with Django permissions, made by a migration and kept by `grant_role`."""

from django.contrib.auth.models import Group
from django.db.models import TextChoices

from greenllm.models import User


class Role(TextChoices):
    """What a person comes for; a person may have several."""

    RESEARCHER = "researcher", "Researcher: runs studies and reads results"
    ANNOTATOR = "annotator", "Annotator: judges answers"
    ADJUDICATOR = "adjudicator", "Adjudicator: settles disputed answers"
    ADMIN = "admin", "Admin: adds and removes federation models, people and keys"


def grant_role(*, user: User, role: Role) -> None:
    """Give a person a role; giving it twice changes nothing."""
    group, _ = Group.objects.get_or_create(name=role.value)
    user.groups.add(group)
