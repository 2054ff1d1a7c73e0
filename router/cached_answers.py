"""Find, keep and purge the answers of the cache. An answer of a model that was retired is given no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import QuerySet

from benchmarks.inference.base import Generation
from benchmarks.models import Deployment
from router.answering import Decided
from router.caching import CacheKeys, CacheRules
from router.keeping import storable_text
from router.models import CachedAnswer, GatewayRequest, UpstreamAttempt

_LEAST_DISTANCE = 1e-7  # of two prompts that are not one; what single precision tells
_MOST_COMPARED = 2000  # prompts of one kind, the latest ones
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """Where a prompt lies: its unit embedding, by which embedder, and the category of the nearest known prompt."""

    vector: Vector
    embedder_id: int
    category_id: int


@dataclass(frozen=True)
class Hit:
    """An answer that was given before; `distance` is the cosine distance of the two prompts, 0 where they are one.

    `saved_gco2e` is what the answer cost when it was made, measured where it was, else as it was expected; `quality`
    says which. None: nobody knows.
    """

    answer: CachedAnswer
    distance: float
    saved_gco2e: float | None
    quality: str

    @property
    def kind(self) -> GatewayRequest.CacheHit:
        """Return how the prompts are alike."""
        return GatewayRequest.CacheHit.SEMANTIC if self.distance > 0 else GatewayRequest.CacheHit.EXACT

    @property
    def generation(self) -> Generation:
        """Return the answer; how long it took once is no figure of this one."""
        kept = self.answer
        counts = (kept.prompt_token_count, kept.output_token_count)
        return Generation(
            kept.text, kept.thinking_text or None, *counts, None, None, None, None, None, kept.done_reason
        )


def find_answer(*, keys: CacheKeys, placed: Placed | None, most_distance: float, now: datetime) -> Hit | None:
    """Return the answer to the same request, else that to the nearest prompt within a cosine distance, or None."""
    found = _usable(now).filter(exact_sha256=keys.exact).first()
    if found is not None:
        return _hit(found, 0.0)
    if placed is None or not keys.kind:
        return None
    near = _usable(now).filter(
        kind_sha256=keys.kind, embedder_id=placed.embedder_id, category_id=placed.category_id, vector__isnull=False
    )
    rows = list(near.order_by("-pk").values_list("pk", "vector")[:_MOST_COMPARED])
    if not rows:
        return None
    matrix = np.frombuffer(b"".join(bytes(vector or b"") for _, vector in rows), dtype=np.float32).reshape(
        len(rows), -1
    )
    cosines = matrix @ placed.vector
    best = int(np.argmax(cosines))
    distance = 1.0 - float(cosines[best])
    if distance > most_distance:
        return None
    kept = _usable(now).filter(pk=rows[best][0]).first()
    return None if kept is None else _hit(kept, max(distance, _LEAST_DISTANCE))


def keep_answer(
    *, keys: CacheKeys, placed: Placed | None, decided: Decided, cost: tuple[float | None, str],
    generation: Generation, rules: CacheRules, now: datetime,
) -> None:  # fmt: skip
    """Keep the answer to a request, in place of an older one; the oldest ones above the bound go.

    Args:
        cost: what it was expected to cost (gCO2e), and of which quality that is.
    """
    answer = CachedAnswer(
        exact_sha256=keys.exact,
        kind_sha256=keys.kind if placed is not None else "",
        api_key_id=None if rules.is_shared else decided.request.api_key_id,
        request=decided.request,
        deployment=decided.deployment,
        category_id=placed.category_id if placed else None,
        embedder_id=placed.embedder_id if placed else None,
        vector=placed.vector.astype(np.float32).tobytes() if placed else None,
        text=storable_text(generation.text),
        thinking_text=storable_text(generation.thinking or ""),
        prompt_token_count=generation.prompt_token_count,
        output_token_count=generation.output_token_count,
        done_reason=generation.done_reason or "",
        predicted_sci_gco2e=cost[0],
        predicted_quality=cost[1],
        created_at=now,
        expires_at=now + timedelta(seconds=rules.lifetime_s),
    )
    with transaction.atomic():
        CachedAnswer.objects.filter(expires_at__lte=now).delete()
        CachedAnswer.objects.filter(exact_sha256=keys.exact).delete()
        CachedAnswer.objects.bulk_create([answer], ignore_conflicts=True)  # another process may have kept it just now
        surplus = CachedAnswer.objects.order_by("-pk").values("pk")[rules.most :]
        CachedAnswer.objects.filter(pk__in=surplus).delete()


def purge_cache(*, api_key_ids: Sequence[int] | None = None, expired_at: datetime | None = None) -> int:
    """Delete kept answers, all of them or those of some keys, or those that are too old; return how many."""
    answers = CachedAnswer.objects.all()
    if api_key_ids is not None:
        answers = answers.filter(api_key_id__in=api_key_ids)
    if expired_at is not None:
        answers = answers.filter(expires_at__lte=expired_at)
    deleted, _ = answers.delete()
    return deleted


def _usable(now: datetime) -> QuerySet[CachedAnswer]:
    active = CachedAnswer.objects.filter(expires_at__gt=now, deployment__state=Deployment.State.ACTIVE)
    return active.select_related("deployment__language_model", "category", "request")


def _hit(answer: CachedAnswer, distance: float) -> Hit:
    measured = (
        UpstreamAttempt.objects.filter(request_id=answer.request_id, measurement__sci_gco2e__isnull=False)
        .order_by("-number")
        .values_list("measurement__sci_gco2e", "measurement__quality")
        .first()
    )
    if measured is not None:
        return Hit(answer, distance, *measured)
    return Hit(answer, distance, answer.predicted_sci_gco2e, answer.predicted_quality or "missing")
