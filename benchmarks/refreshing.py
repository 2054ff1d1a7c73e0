"""Ask the live services for the present carbon intensity, and keep what they tell."""

import logging
import os
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from benchmarks.grid.base import IntensityError, IntensityProvider, LiveIntensity, UnusableAnswer
from benchmarks.grid.connecting import provider_for
from benchmarks.models import CarbonIntensity, IntensityFeed

logger = logging.getLogger(__name__)

_AHEAD = timedelta(minutes=10)  # how far a service's clock may be before ours
_SIMULATED = "simulated: "


def connect_feed(
    *, feed: IntensityFeed, timeout_s: float, environment: Mapping[str, str] = os.environ
) -> IntensityProvider:
    """Return the client of a zone's live service, with its key from the environment; nothing is sent yet."""
    return provider_for(
        feed.provider,
        base_url=feed.base_url,
        key_variable=feed.api_key_variable,
        environment=environment,
        timeout_s=timeout_s,
    )


def refresh(*, feed: IntensityFeed, provider: IntensityProvider, now: datetime) -> CarbonIntensity | None:
    """Ask a zone's live service and store its figure; None where it was asked less than `refresh_minutes` ago.

    That holds after a failure too, and for any number of processes: whoever moves `attempted_at` asks. What became
    of it stands on the feed.

    Raises:
        IntensityError: the service gave no figure; what was stored before stays.
    """
    before = now - timedelta(minutes=feed.refresh_minutes)
    is_due = Q(attempted_at__isnull=True) | Q(attempted_at__lte=before)
    if not IntensityFeed.objects.filter(is_due, pk=feed.pk).update(attempted_at=now):
        return None
    feed.attempted_at = now
    try:
        told = provider.latest(feed.asked_zone)
        if told.valid_from > now + _AHEAD:
            raise UnusableAnswer(f"the figure is of {told.valid_from.isoformat()}, which is yet to come.")
    except IntensityError as error:
        logger.warning("No live carbon intensity of %s (%s): %s", feed.zone, error.kind, error)
        _note(feed, kind=error.kind, problem=str(error)[:300])
        raise
    with transaction.atomic():
        row = _store(feed, told)
        feed.latest = row
        _note(feed, kind="", problem="")
    return row


def _store(feed: IntensityFeed, told: LiveIntensity) -> CarbonIntensity:
    """Keep one row a moment; a forecast that has been metered meanwhile is replaced."""
    row, _ = CarbonIntensity.objects.update_or_create(
        zone=feed.zone,
        kind=CarbonIntensity.Kind.LIVE_AVERAGE,
        source=f"{_SIMULATED if told.is_simulated else ''}{told.source}",
        year=None,
        valid_from=told.valid_from,
        defaults={
            "gco2e_per_kwh": told.gco2e_per_kwh,
            "is_estimated": told.is_estimated,
            "is_simulated": told.is_simulated,
        },
    )
    return row


def _note(feed: IntensityFeed, *, kind: str, problem: str) -> None:
    feed.problem_kind = kind
    feed.problem = problem
    feed.save(update_fields=["latest", "problem_kind", "problem"])


def follow(
    *,
    zone: str,
    provider: str,
    provider_zone: str = "",
    base_url: str = "",
    api_key_variable: str = "",
    refresh_minutes: int = 15,
    stale_after_minutes: int = 120,
) -> IntensityFeed:
    """Have a live service asked about a zone; a change of service forgets the figure of the former one.

    Raises:
        ValidationError: a field is wrong; nothing was changed.
    """
    with transaction.atomic():
        feed = IntensityFeed.objects.select_for_update().filter(zone=zone).first() or IntensityFeed(zone=zone)
        asked = (feed.provider, feed.asked_zone, feed.base_url)
        feed.provider = provider
        feed.provider_zone = provider_zone
        feed.base_url = base_url
        feed.api_key_variable = api_key_variable
        feed.refresh_minutes = refresh_minutes
        feed.stale_after_minutes = stale_after_minutes
        if asked != (feed.provider, feed.asked_zone, feed.base_url):
            feed.latest = None
        feed.attempted_at = None
        feed.problem_kind = feed.problem = ""
        feed.full_clean()
        feed.save()
    return feed


def unfollow(*, zone: str) -> None:
    """Have nobody asked about a zone any more; what was told stays.

    Raises:
        IntensityFeed.DoesNotExist: nobody is asked.
    """
    if not IntensityFeed.objects.filter(zone=zone).delete()[0]:
        raise IntensityFeed.DoesNotExist(f"No live service is asked about the zone {zone!r}.")
