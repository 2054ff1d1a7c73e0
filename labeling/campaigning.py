"""Campaigns: how far the judging of each study has come, and the notices that it has ended or stalled."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import prefetch_related_objects

from benchmarks.models import Study
from labeling.models import CampaignNotice, NoticeDismissal
from labeling.waiting import QueueFilter, answers_sql

# Studies in which people have begun to judge here, with the moment of their latest verdict. Labels that came with a
# bundle are older than its import; a changed verdict or a self-check does not carry the judging on.
_BEGUN = """
SELECT answer.study_id, max(label.created_at) AS latest_at FROM labeling_label AS label
JOIN benchmarks_response AS answer ON answer.id = label.response_id
JOIN benchmarks_study AS study ON study.id = answer.study_id
WHERE label.source = 'person' AND label.kind <> 'self_check' AND label.supersedes_id IS NULL
  AND (study.imported_at IS NULL OR label.created_at > study.imported_at)
GROUP BY answer.study_id HAVING bool_or(label.kind = 'judgement')
"""
_CAMPAIGNS = f"""
SELECT response.study_id, begun.latest_at, count(*), count(*) FILTER (WHERE standing.wants_reader),
       count(*) FILTER (WHERE standing.wants_adjudicator)
{answers_sql(QueueFilter(), f"JOIN ({_BEGUN}) AS begun ON begun.study_id = response.study_id")}
GROUP BY response.study_id, begun.latest_at ORDER BY response.study_id
"""
_NOTICES = """
SELECT * FROM labeling_campaignnotice AS notice WHERE over_at IS NULL AND NOT EXISTS (
    SELECT FROM labeling_noticedismissal AS dismissal WHERE dismissal.notice_id = notice.id AND person_id = %s
) ORDER BY noticed_at DESC, id DESC
"""


@dataclass(frozen=True)
class Campaign:
    """The judging of one study: when somebody last judged, its answers, and how many wait for whom."""

    study_id: int
    latest_label_at: datetime
    answer_count: int
    reader_count: int
    adjudicator_count: int

    @property
    def left_count(self) -> int:
        """Return how many answers still want a label."""
        return self.reader_count + self.adjudicator_count


def campaigns() -> list[Campaign]:
    """Return every study in which somebody has begun to judge, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_CAMPAIGNS, QueueFilter().values)
        return [Campaign(*row) for row in cursor.fetchall()]


def notice_campaigns(*, now: datetime, stall_after: timedelta) -> list[CampaignNotice]:
    """Notice which campaigns have ended or stalled since the last look, and which go on; return the new notices.

    An end or a stall is noticed once, however often and by however many this is called. Once somebody has judged
    since, the notice is over, and the next end or stall is a new one. A study that is still measured does not end.
    """
    running = set(Study.objects.filter(state=Study.State.RUNNING).values_list("pk", flat=True))
    in_force = {notice.study_id: notice for notice in CampaignNotice.objects.filter(over_at__isnull=True)}
    made = []
    for campaign in campaigns():
        kind = _kind_of(campaign, now, stall_after, is_measured=campaign.study_id in running)
        if _is_so(in_force.get(campaign.study_id), campaign, kind):
            continue
        notice = _renew(campaign, kind, now)
        if notice is not None:
            made.append(notice)
    return made


def notices_for(person_id: int) -> list[CampaignNotice]:
    """Return the notices that are in force and that a person has not dismissed, the latest first.

    One query, and one for their studies where there are any: each page of an admin asks.
    """
    notices = list(CampaignNotice.objects.raw(_NOTICES, [person_id]))
    prefetch_related_objects(notices, "study")
    return notices


def dismiss_notice(*, notice_id: int, person_id: int, now: datetime) -> bool:
    """Show a notice to a person no more; tell whether there is such a notice. Twice is as good as once."""
    if not CampaignNotice.objects.filter(pk=notice_id).exists():
        return False
    NoticeDismissal.objects.get_or_create(notice_id=notice_id, person_id=person_id, defaults={"dismissed_at": now})
    return True


def _kind_of(campaign: Campaign, now: datetime, stall_after: timedelta, *, is_measured: bool) -> str:
    """Return what a campaign has come to; empty while it goes on."""
    if campaign.left_count == 0:
        return "" if is_measured else CampaignNotice.Kind.ENDED.value
    return CampaignNotice.Kind.STALLED.value if now - campaign.latest_label_at >= stall_after else ""


def _is_so(notice: CampaignNotice | None, campaign: Campaign, kind: str) -> bool:
    """Tell whether what is in force says already what has become of a campaign."""
    if notice is None:
        return not kind
    return notice.kind == kind and notice.latest_label_at == campaign.latest_label_at


def _renew(campaign: Campaign, kind: str, now: datetime) -> CampaignNotice | None:
    """End the notice in force of a campaign, and make the one that says what it has come to; None where it goes on."""
    with transaction.atomic():
        Study.objects.select_for_update(no_key=True).get(pk=campaign.study_id)  # two looks at once take turns
        latest = CampaignNotice.objects.filter(study_id=campaign.study_id, over_at__isnull=True).first()
        if _is_so(latest, campaign, kind):
            return None
        if latest is not None:
            latest.over_at = now
            latest.save(update_fields=["over_at"])
        if not kind:
            return None
        return CampaignNotice.objects.create(
            study_id=campaign.study_id,
            kind=kind,
            noticed_at=now,
            latest_label_at=campaign.latest_label_at,
            answer_count=campaign.answer_count,
            reader_count=campaign.reader_count,
            adjudicator_count=campaign.adjudicator_count,
        )
