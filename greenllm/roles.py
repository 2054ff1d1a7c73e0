"""The roles of GreenLLM: groups made by a migration, and what each role may do, which stands here and nowhere else."""

from collections.abc import Iterable

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db.models import Model, QuerySet, TextChoices

from greenllm.models import User


class Role(TextChoices):
    """What a person comes for; a person may have several."""

    RESEARCHER = "researcher", "Researcher: runs studies and reads results"
    ANNOTATOR = "annotator", "Annotator: judges answers"
    ADJUDICATOR = "adjudicator", "Adjudicator: settles disputed answers"
    ADMIN = "admin", "Admin: adds and removes federation models, people and keys"


VIEW_RESULTS = "benchmarks.view_study"
VIEW_QUALITY = VIEW_RESULTS  # who may see how well people judge: not annotators, and only admins see names
RUN_STUDIES = "benchmarks.change_study"
CHANGE_FEDERATION = "benchmarks.change_deployment"
JUDGE_ANSWERS = "labeling.add_label"
ADJUDICATE = "labeling.change_label"
CHANGE_RULES = "labeling.change_judgementrule"
SET_GOLD = "labeling.change_goldanswer"
RESOLVE_FLAGS = "labeling.change_flag"
CORRECT_LABELS = "labeling.change_correction"
SEE_NOTICES = "labeling.view_campaignnotice"
CHANGE_PEOPLE = "greenllm.change_user"

# An annotator sees no results: whoever knows what models did and cost no longer judges blind.
_PERMISSIONS: dict[str, frozenset[str]] = {
    Role.RESEARCHER: frozenset({VIEW_RESULTS, RUN_STUDIES}),
    Role.ANNOTATOR: frozenset({JUDGE_ANSWERS}),
    Role.ADJUDICATOR: frozenset({JUDGE_ANSWERS, ADJUDICATE}),
    Role.ADMIN: frozenset(
        {
            VIEW_RESULTS,
            RUN_STUDIES,
            CHANGE_FEDERATION,
            JUDGE_ANSWERS,
            ADJUDICATE,
            CHANGE_RULES,
            SET_GOLD,
            RESOLVE_FLAGS,
            CORRECT_LABELS,
            SEE_NOTICES,
            CHANGE_PEOPLE,
        }
    ),
}


def grant_role(*, user: User, role: Role) -> None:
    """Give a person a role; giving it twice changes nothing."""
    group, _ = Group.objects.get_or_create(name=role.value)
    user.groups.add(group)


def _allowed_to(role_names: Iterable[str]) -> set[str]:
    return set().union(*(_PERMISSIONS.get(name, frozenset()) for name in role_names))


def is_admin(person: User | AnonymousUser) -> bool:
    """Tell whether somebody may change what is everybody's: people, models, or tables in the admin site."""
    return person.is_authenticated and (
        person.is_staff or person.has_perm(CHANGE_PEOPLE) or person.has_perm(CHANGE_FEDERATION)
    )


# a person and the names of their roles; said in SQL, since each page asks it and the ORM takes longer to write it
_PERSON = """
SELECT person.*, ARRAY(
    SELECT role.name FROM greenllm_user_groups AS has JOIN auth_group AS role ON role.id = has.group_id
    WHERE has.user_id = person.id
) AS role_names
FROM greenllm_user AS person WHERE person.id = %s
"""


class RoleBackend(ModelBackend):
    """Django's own backend, which asks for a person's roles first: they come with the person, and are mostly enough.

    It reads by the tables between people, groups and permissions: relations backwards are not known where only a part
    of the apps is loaded, as in tests of the endpoint.
    """

    def get_user(self, user_id: int) -> User | None:
        """Return who is signed in, with what their roles allow; None for a person who is gone or switched off."""
        user = next(iter(User.objects.raw(_PERSON, [user_id])), None)
        if user is None or not self.user_can_authenticate(user):
            return None
        user._role_permissions = _allowed_to(user.role_names)  # type: ignore[attr-defined]  # for this request only
        return user

    def has_perm(self, user_obj: User | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        """Tell whether a role of the person allows it, or else a permission that was given in the admin."""
        return perm in self._of_roles(user_obj, obj) or super().has_perm(user_obj, perm, obj=obj)

    def get_all_permissions(self, user_obj: User | AnonymousUser, obj: Model | None = None) -> set[str]:
        """Return the permissions of a person's roles and those given in the admin."""
        return self._of_roles(user_obj, obj) | super().get_all_permissions(user_obj, obj)

    def _of_roles(self, user_obj: User | AnonymousUser, obj: Model | None) -> set[str]:
        """Return the permissions of a person's roles; a switched-off person and a stranger have none."""
        if not isinstance(user_obj, User) or not user_obj.is_active or obj is not None:
            return set()
        known: set[str] | None = getattr(user_obj, "_role_permissions", None)
        if known is None:
            names = User.groups.through.objects.filter(user=user_obj).values_list("group__name", flat=True)
            known = _allowed_to(names)
            user_obj._role_permissions = known  # type: ignore[attr-defined]  # kept for this request only
        return known

    def _get_user_permissions(self, user_obj: User) -> QuerySet[Permission]:
        own = User.user_permissions.through.objects.filter(user=user_obj)
        return Permission.objects.filter(pk__in=own.values("permission"))

    def _get_group_permissions(self, user_obj: User) -> QuerySet[Permission]:
        groups = User.groups.through.objects.filter(user=user_obj)
        of_groups = Group.permissions.through.objects.filter(group__in=groups.values("group"))
        return Permission.objects.filter(pk__in=of_groups.values("permission"))
