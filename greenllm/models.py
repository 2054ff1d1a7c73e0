"""People, and what was done. Roles are groups (`greenllm.roles`); API keys are the endpoint's (`router.models`)."""

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
    """One row that an admin, a command or a worker added, changed or deleted, or one thing done that leaves no row.

    Triggers of the watched tables write it, in the transaction of the act. Nothing changes or deletes it afterwards:
    only who did it and from where may be erased, with the person.
    """

    class Kind(models.TextChoices):
        ADDED = "added", "Added"
        CHANGED = "changed", "Changed"
        DELETED = "deleted", "Deleted"
        LINK_MADE = "link_made", "Made a password link for"
        RAN = "ran", "Ran"
        ENDED = "ended", "Ended"

    class Place(models.TextChoices):
        PAGE = "page", "On a page"
        SHELL = "shell", "At the shell"
        WORKER = "worker", "By a worker"

    happened_at = models.DateTimeField()
    person = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="acts",
        help_text="Empty: erased since, or done by a program.",
    )  # fmt: skip
    place = models.CharField(max_length=6, choices=Place.choices, default=Place.PAGE, db_default=Place.PAGE)
    os_user = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="Of the shell, as the operating system knows."
    )
    program = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="The command, or the job of the worker."
    )
    address = models.GenericIPAddressField(null=True, blank=True, help_text="Where the request came from.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    table = models.CharField(max_length=63, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    before = models.JSONField(default=dict, help_text="What was changed or deleted, as it was.")
    after = models.JSONField(default=dict, help_text="What was added or changed, as it is since.")

    class Meta:
        indexes = [models.Index(fields=["-happened_at", "-id"], name="act_latest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.table} {self.object_id} {self.program}".rstrip()

    @property
    def doer(self) -> str:
        """Return who did it, where that is no person: `shell: ada`, `worker: erase_texts_of_requests`."""
        return f"{self.place}: {self.os_user or self.short_program}" if self.program else ""

    @property
    def short_program(self) -> str:
        """Return the name of the command or the job, without the module that a job is in."""
        return self.program.rpartition(".")[2]
