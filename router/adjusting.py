"""Adjust what each candidate is expected to cost to the request at hand: its length, the place, and what is loaded.

Known prompts tell the SCI of a prompt like theirs, at the intensity that they were scored with, by a model in memory.
Here it becomes that of this request: at the carbon intensity of the machine's zone (fixed, or live where the policy
says so), scaled for a prompt that is far longer than the neighbours, and with a share of the load where the model is
not in memory. A model whose context cannot hold the request is no candidate.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Avg, Max
from django.db.models.functions import Length

from benchmarks.inference.base import PromptTooLong
from benchmarks.inference.ollama_wire import with_tag
from benchmarks.intensities import NoIntensity, current_intensity
from benchmarks.models import Deployment, InferenceServer, Prompt, Response, Study
from benchmarks.sci import SciInputs, score
from benchmarks.units import grams_to_milligrams
from router.abilities import NobodyAble, Unable
from router.budget import HourSpent
from router.deployment_facts import Facts, IntensityUsed, active_facts
from router.in_memory import Loaded
from router.lately import lately
from router.length import Asked, KnownLengths, Scaled, is_far_longer, scaled_for_length, why_too_long
from router.policy import NoCandidate
from router.terms import Terms

LEAST_LONG_CHARACTERS = 400  # about 100 tokens; reading fewer costs next to nothing beside the answer

LoadedModelsTeller = Callable[[Iterable[InferenceServer]], Mapping[int, Loaded]]


def nobody_tells(servers: Iterable[InferenceServer]) -> dict[int, Loaded]:
    """Say of every server that nobody knows what it has in memory."""
    return {server.pk: None for server in servers}


@dataclass(frozen=True)
class Conditions:
    """What is particular to one request. Without a moment the fixed intensity counts, whatever the policy says."""

    asked: Asked
    now: datetime | None = None
    loaded: LoadedModelsTeller = nobody_tells
    hour: HourSpent | None = None
    only_models: frozenset[str] = frozenset()  # the names that the key allows; none: every one
    unable: Unable = field(default_factory=Unable)

    @property
    def sci_price(self) -> float:
        """Return what the key's budget adds to the price of SCI, in probability per gCO2e."""
        return self.hour.price if self.hour is not None else 0.0


@dataclass(frozen=True)
class Adjusted:
    """What becomes of the SCI that is known of one deployment, and why."""

    factor: float = 1.0
    added_gco2e: float = 0.0
    notes: tuple[str, ...] = ()
    intensity: IntensityUsed | None = None

    def sci(self, known_gco2e: float) -> float:
        """Return the SCI to expect (gCO2e) of one that is known."""
        return known_gco2e * self.factor + self.added_gco2e

    @property
    def words(self) -> str:
        """Return the notes as a sequel to a sentence."""
        return "".join(f" {note}" for note in self.notes if note)


@dataclass(frozen=True)
class Adjusting:
    """The adjustments of one request: who can hold it at all, and what it costs the others."""

    facts: Mapping[int, Facts]
    conditions: Conditions
    too_long: Mapping[int, str]  # or unable, or not allowed: why a deployment cannot answer the request, by its key

    @classmethod
    def to(cls, conditions: Conditions) -> "Adjusting":
        """Return the adjustments to the conditions of a request. A query, where nothing has changed."""
        facts = lately("facts", active_facts)
        reasons = {
            key: conditions.unable.reasons.get(key)
            or why_too_long(conditions.asked, one.fit, one.deployment.language_model.context_length)
            for key, one in facts.items()
        }
        reasons.update(_not_allowed(facts, conditions.only_models))
        return cls(facts, conditions, {key: reason for key, reason in reasons.items() if reason})

    @property
    def is_long(self) -> bool:
        """Tell whether a prompt is so long that the lengths of its neighbours may count for what it costs."""
        return self.conditions.asked.sent_characters > LEAST_LONG_CHARACTERS

    def intensity_of(self, deployment_id: int, *, is_intensity_live: bool) -> IntensityUsed | None:
        """Return the carbon intensity that the costs of a deployment were made with; None where none is known."""
        one = self.facts.get(deployment_id)
        return None if one is None else _placed(one, self.conditions.now if is_intensity_live else None).intensity

    def deployment(self, deployment_id: int) -> Deployment:
        """Return a deployment with its model and server; a query where it has just been retired."""
        if deployment_id in self.facts:
            return self.facts[deployment_id].deployment
        return Deployment.objects.select_related("language_model", "server").get(pk=deployment_id)

    def refusal(self, deployment_id: int | None = None) -> PromptTooLong | NobodyAble:
        """Return the error of a request that no model in question can hold; of one model where that is the only one."""
        unable = self.conditions.unable
        outgrown = self.too_long.keys() - unable.reasons.keys()
        if deployment_id in unable.reasons or not outgrown:
            model = self.facts[deployment_id].deployment.language_model.name if deployment_id else ""
            return unable.refusal(model)
        key = deployment_id or max(
            outgrown, key=lambda one: self.facts[one].deployment.language_model.context_length or 0
        )
        longest = self.facts[key].deployment.language_model
        whose = "the policy allows one model alone." if deployment_id else "no active model can hold it."
        return PromptTooLong(
            prompt_token_count=None,
            context_length=longest.context_length,
            reason=f"{whose} Of {longest}: {self.too_long[key].rstrip('.')}",
        )

    def costs(
        self, *, neighbour_ids: Sequence[int], is_intensity_live: bool, prompts_per_load: int
    ) -> dict[int, Adjusted]:
        """Return what becomes of the SCI of each deployment, by its key.

        A query for a long prompt, two where it is far longer than the neighbours, and those of the live intensity.
        """
        now = self.conditions.now if is_intensity_live else None
        lengths = _known_lengths(self.facts, neighbour_ids, self.conditions.asked) if self.is_long else None
        loaded = self.conditions.loaded([one.deployment.server for one in self.facts.values()])
        made = {}
        for key, one in self.facts.items():
            placed = _placed(one, now)
            scaled = Scaled(1.0, "")
            if lengths is not None:
                scaled = scaled_for_length(self.conditions.asked, one.fit, lengths.get(key))
            in_memory = loaded.get(one.deployment.server_id)
            added, told = _load_share(one, in_memory, placed.intensity, prompts_per_load)
            notes = (*placed.notes, scaled.note, told)
            made[key] = Adjusted(placed.factor * scaled.factor, added, notes, placed.intensity)
        return made


def _not_allowed(facts: Mapping[int, Facts], names: frozenset[str]) -> dict[int, str]:
    """Return why the key of a request leaves out deployments.

    Raises:
        NoCandidate: it leaves out all of them.
    """
    if not names:
        return {}
    terms = Terms(0, models=names)
    left_out = [key for key, one in facts.items() if not terms.has(one.deployment.language_model.name)]
    if facts and len(left_out) == len(facts):
        raise NoCandidate(f"This key allows {', '.join(sorted(names))}, and none of these is active now.")
    return dict.fromkeys(left_out, "The key does not allow it.")


def _placed(facts: Facts, now: datetime | None) -> Adjusted:
    """Return the adjustment to the carbon intensity of the machine's zone, the live one where a moment is given."""
    used = facts.average
    note = ""
    if now is not None:
        try:
            told = current_intensity(zone=facts.machine.zone, now=now)
        except NoIntensity:
            told = None
        if told is not None:
            used = IntensityUsed(
                told.zone, told.gco2e_per_kwh, told.kind, told.source, is_stale=told.is_stale, reason=told.reason
            )
            stale = ", the live figure being stale" if told.is_stale else ""
            note = f"At {told.gco2e_per_kwh:.0f} gCO2e/kWh in {told.zone}{stale}."
    if used is None or facts.scored is None:
        return Adjusted(intensity=used)
    return Adjusted(factor=facts.scored.factor_at(used.gco2e_per_kwh), notes=(note,), intensity=used)


def _known_lengths(
    facts: Mapping[int, Facts], neighbour_ids: Sequence[int], asked: Asked
) -> dict[int, KnownLengths] | None:
    """Return the lengths of the answers to the neighbours by deployment; None where the prompt is not far longer."""
    longest = Prompt.objects.filter(pk__in=neighbour_ids).aggregate(most=Max(Length("text")))["most"] or 0
    if not is_far_longer(asked, longest):
        return None
    rows = (
        Response.objects.finished()
        .filter(prompt__in=neighbour_ids, deployment__in=list(facts))
        .filter(prompt_token_count__gt=0, output_token_count__gt=0)
        .exclude(study__kind=Study.Kind.ROUTER)
        .order_by()
        .values_list("deployment_id")
        .annotate(Avg("prompt_token_count"), Max("prompt_token_count"), Avg("output_token_count"))
    )
    return {key: KnownLengths(mean, most, output) for key, mean, most, output in rows}


def _load_share(
    facts: Facts, loaded: Loaded, intensity: IntensityUsed | None, prompts_per_load: int
) -> tuple[float, str]:
    """Return what a prompt's share of loading costs (gCO2e) and why; nothing where the model is in memory."""
    name, fit = facts.deployment.language_model.name, facts.fit
    if loaded is None or {name, with_tag(name)} & loaded:
        return 0.0, ""
    if fit is None or fit.load_energy_j is None or fit.load_duration_s is None or intensity is None:
        return 0.0, ""
    whole = score(
        SciInputs(
            energy_j=fit.load_energy_j,
            time_reserved_s=fit.load_duration_s,
            carbon_intensity_gco2e_per_kwh=intensity.gco2e_per_kwh,
            total_embodied_emissions_gco2e=facts.machine.total_embodied_emissions_gco2e,
            expected_lifespan_s=facts.machine.expected_lifespan_s,
            resource_share=facts.machine.resource_share,
        )
    ).sci_gco2e
    return (
        whole / prompts_per_load,
        f"It is not in memory: 1/{prompts_per_load} of loading it ({grams_to_milligrams(whole):.3g} mgCO2e, estimated) "
        "is added.",
    )
