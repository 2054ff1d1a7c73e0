"""People, and what admins did. Roles are groups (`greenllm.roles`); API keys are the endpoint's (`router.models`)."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """One person, or one client program, that signs in."""

    # a trigger counts it up with each second factor that is set up or taken away, and all sessions of before end
    sessions_ended = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session must know to go on; with the password it changes, and with `sessions_ended`."""
        found: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]  # the stubs do not know it
        return f"{found}{self.sessions_ended}" if self.sessions_ended else found


class AdminAct(models.Model):
    """One row that an admin added, changed or deleted by a page, or one thing done that leaves no row.

    Triggers of the watched tables write it, in the transaction of the act. Nothing changes or deletes it afterwards:
    only who did it and from where may be erased, with the person.
    """

    class Kind(models.TextChoices):
        ADDED = "added", "Added"
        CHANGED = "changed", "Changed"
        DELETED = "deleted", "Deleted"
        LINK_MADE = "link_made", "Made a password link for"

    happened_at = models.DateTimeField()
    person = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="acts", help_text="Empty: erased since."
    )
    address = models.GenericIPAddressField(null=True, blank=True, help_text="Where the request came from.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    table = models.CharField(max_length=63)
    object_id = models.CharField(max_length=40)
    before = models.JSONField(default=dict, help_text="What was changed or deleted, as it was.")
    after = models.JSONField(default=dict, help_text="What was added or changed, as it is since.")

    class Meta:
        indexes = [models.Index(fields=["-happened_at", "-id"], name="act_latest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.table} {self.object_id}"
