"""Whether the queue holds what Postgres says is left to measure."""

from collections.abc import Iterable

from redis.exceptions import RedisError

from benchmarks.models import Machine, Response, Study
from benchmarks.queueing import queued_response_ids
from greenllm.verification.tally import Tally


def check_jobs() -> Tally:
    """Hold the jobs of each machine's queue against the responses that running studies wait for.

    A queue that cannot be asked is broken, too.
    """
    tally = Tally()
    for machine in Machine.objects.order_by("name"):
        due = Response.objects.unfinished().filter(study__machine=machine, study__state=Study.State.RUNNING)
        waiting = dict(due.order_by("pk").values_list("pk", "study__name"))
        tally.look(len(waiting))
        try:
            queued = queued_response_ids(machine=machine)
        except RedisError as error:
            tally.broken(f"the queue of {machine} cannot be looked at: {error}")
            continue
        still_due = set(due.values_list("pk", flat=True))  # what was measured meanwhile needs no job any more
        _hold(tally, machine, {pk: name for pk, name in waiting.items() if pk in still_due}, queued)
    return tally


def _hold(tally: Tally, machine: Machine, waiting: dict[int, str], queued: Iterable[int]) -> None:
    jobs = set(queued)
    for study in sorted({name for pk, name in waiting.items() if pk not in jobs}):
        count = sum(name == study and pk not in jobs for pk, name in waiting.items())
        tally.broken(
            f"{count:,} responses of study {study} wait and have no job on the queue of {machine}; its worker fills "
            f"the queue when it starts"
        )
    known = set(Response.objects.filter(pk__in=jobs).values_list("pk", flat=True))
    for pk in sorted(jobs - known):
        tally.broken(f"a job on the queue of {machine} is for response {pk}, which there is not")
