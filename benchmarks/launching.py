"""What goes with a study beyond its rows: asking its servers what they are, and moving its models along."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from benchmarks.federating import Timeouts, begin_evaluation, connect
from benchmarks.models import InferenceServer, Study
from benchmarks.studying import start


def ask_versions(*, servers: Collection[InferenceServer], timeouts: Timeouts) -> dict[int, str]:
    """Return the version that each server reports, by its primary key; all are asked at once.

    Raises:
        InferenceError: a server does not answer within the time to connect, or refuses.
    """
    if not servers:
        return {}
    asked = sorted(servers, key=lambda server: server.pk)
    with ThreadPoolExecutor(len(asked)) as pool:
        versions = pool.map(lambda server: connect(server=server, timeouts=timeouts).health().version, asked)
        return dict(zip((server.pk for server in asked), versions, strict=True))


def launch(*, study: Study, now: datetime) -> None:
    """Let a study run and mark its candidates as being evaluated; a study that runs goes on.

    Raises:
        StudyError: it is cancelled, or has nothing to measure.
    """
    start(study=study, now=now)
    for deployment in study.deployments.filter(server__is_router=False).order_by("pk"):
        begin_evaluation(deployment=deployment, now=now)
