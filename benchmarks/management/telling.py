"""Commands that tell a person what is wrong in one sentence instead of a traceback."""

from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.datasets.base import PromptFileError
from benchmarks.federating import ModelNotOffered, OtherKind, RetiredModel, RouterIsNoModel, UnknownModel
from benchmarks.inference.base import InferenceError
from benchmarks.models import Machine, Study
from benchmarks.recording import RecordingError
from benchmarks.sci import SciInputError
from benchmarks.studying import StudyError
from benchmarks.targeting import NoRouter

_SERVICES_REMEDY = "Start the services with manage.py services start, or set"


class TellingCommand(BaseCommand):
    """A command whose expected failures become a `CommandError`; a bug still shows its traceback."""

    told: ClassVar[tuple[type[Exception], ...]] = ()
    _always_told: ClassVar[tuple[type[Exception], ...]] = (
        PromptFileError,
        ModelNotOffered,
        UnknownModel,
        RetiredModel,
        RouterIsNoModel,
        OtherKind,
        NoRouter,
        InferenceError,
        RecordingError,
        SciInputError,
        StudyError,
    )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command and turn what it may expect to fail into a message."""
        try:
            return super().execute(*args, **options)
        except (*self._always_told, *self.told) as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(f"Postgres cannot be used: {error} {_SERVICES_REMEDY} DATABASE_URL.") from error
        except RedisConnectionError as error:
            raise CommandError(f"The queue cannot be reached: {error} {_SERVICES_REMEDY} REDIS_URL.") from error


def study_named(name: str) -> Study:
    """Return a study by its name.

    Raises:
        StudyError: there is none; the message lists the latest ones.
    """
    study = Study.objects.filter(name=name).first()
    if study is None:
        known = ", ".join(Study.objects.order_by("-created_at").values_list("name", flat=True)[:10])
        raise StudyError(f"There is no study {name!r}. " + (f"There are: {known}." if known else "There is none yet."))
    return study


def machine_named(name: str) -> Machine:
    """Return a machine by its name.

    Raises:
        CommandError: there is none; the message lists those that there are.
    """
    machine = Machine.objects.filter(name=name).first()
    if machine is None:
        known = ", ".join(Machine.objects.order_by("name").values_list("name", flat=True)[:10])
        raise CommandError(f"There is no machine {name!r}. " + (f"There are: {known}." if known else "There is none."))
    return machine
