"""What a report says in words: how its figures came about, what the study lacks, and how to cite it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks import published_study as paper
from benchmarks.models import Study
from benchmarks.sci import METHOD_VERSION
from greenllm.reports.cells import Basis
from greenllm.reports.queries import MOST_BASES
from greenllm.reports.tables import StudyCells
from router.evaluating import Comparison


@dataclass(frozen=True)
class Lack:
    """Something that a study does not have, and what to do about it."""

    what: str
    remedy: str


def method(study: Study, found: Sequence[Basis]) -> list[tuple[str, str]]:
    """Return the method as headings with a sentence or two: functional unit, boundary and quantification."""
    boundaries = sorted({one.boundary for one in found if one.boundary})
    versions = sorted({one.method_version for one in found if one.method_version})
    sampled = (
        f"Every channel is read every {study.sampling_period_ms} ms; energy is the integral over the "
        f"time of the answer."
        if study.kind != Study.Kind.IMPORTED
        else "The figures were imported as another source told them; nothing was measured here."
    )
    return [
        (
            "Functional unit (R)",
            "One answered prompt. Beside it stand 1,000 output tokens, as the server counts them, and one "
            "right answer: "
            "what all judged answers cost, by how many of them are right.",
        ),
        (
            "Boundary",
            f"The inference of one answer from the prompt's arrival to its last token, without loading the "
            f"model. Energy: "
            f"{'; '.join(boundaries) or 'not told'}. For the router, the network and its own decision are in "
            f"its measured "
            "point and not in its reckoned ones.",
        ),
        (
            "Quantification",
            "SCI = (E * I + M) per R, M = TE * TiR / EL * RS (ISO/IEC 21031:2024). E is gross energy, idle "
            "power included; "
            "I is location-based, without market instruments; TE, EL and RS are facts of the machine, and "
            "TiR is the time of "
            f"the answer. The inputs of each score are stored with it and listed in this report. Method "
            f"{', '.join(versions) or METHOD_VERSION}. {sampled}",
        ),
        (
            "Judgement",
            "An answer is right by the verdict on it: people before imported labels, and these before graders. Answers "
            "without a verdict count for no accuracy and no right answer.",
        ),
        (
            "Intervals",
            "95 %: Student's for means, Wilson's for shares, Cochran's for ratios of sums, Fieller's for "
            "Kendall's tau. "
            "They hold for answers like these, and do not cover what a meter misses. n counts answers, "
            "repeats included.",
        ),
    ]


def citation(study: Study, *, when: datetime | None) -> list[str]:
    """Return how to cite the study, the paper that it follows, and the standard."""
    made = f", measured on the machine {study.machine}" if study.machine else ""
    date = f", {when:%Y-%m-%d}" if when else ""
    return [
        f"GreenLLM, study {study.name}{f' ({study.title})' if study.title else ''}, {study.uuid}{made}{date}.",
        paper.CITATION,
        "ISO/IEC 21031:2024, Information technology: Software Carbon Intensity (SCI) specification.",
    ]


_IMPORT_AGAIN = (
    "Give {what} in the files, then manage.py withdraw_outcomes {name} and import_outcomes DIR --name {name}."
)


def _first_answers(study: Study) -> str:
    """Return how a study without answers gets its first ones."""
    match study.kind:
        case Study.Kind.IMPORTED:
            return (
                f"Its outcomes were withdrawn or never came. Bring them in: manage.py import_outcomes DIR --name "
                f"{study.name}; or a whole study at /studies/import/."
            )
        case Study.Kind.LIVE:
            return "Answers of live traffic that are kept for labeling come in by themselves, as people ask the router."
        case _:
            return f"Let it measure: manage.py run_study {study.name} goes on with it."


_Said = tuple[bool, str, str]  # whether something is lacking, what, and what to do about it


def lacks(study: Study, cells: StudyCells, found: Sequence[Basis], comparison: Comparison | None) -> list[Lack]:
    """Return what the study does not have, each with what to do."""
    said = [*_lacking_answers(study, cells), *_lacking_figures(study, cells), *_lacking_routes(study, comparison)]
    said.append(
        (
            len(found) == MOST_BASES,
            f"Only the {MOST_BASES} most used of the study's carbon intensities and machines are listed.",
            f"Fix one intensity: manage.py score --study {study.name} --intensity I.",
        )
    )
    return [Lack(what, remedy) for is_so, what, remedy in said if is_so]


def _lacking_answers(study: Study, cells: StudyCells) -> list[_Said]:
    """Return what may be lacking of the answers: any, their SCI, their verdicts."""
    total, name, is_imported = cells.total, study.name, study.kind == Study.Kind.IMPORTED
    answers, scored = total.answer_count, total.products["sci"].n
    return [
        (
            not answers,
            "No training answer is finished.",
            _first_answers(study),
        ),
        (
            bool(answers) and scored < answers,
            f"{answers - scored:,} of {answers:,} training answers have no SCI; they are missing and count nowhere.",
            _IMPORT_AGAIN.format(name=name, what="energy_j or sci_gco2e")
            if is_imported
            else "Their pages say why. A new study may measure such answers again: manage.py run_study … "
            "--measure-again 2.",
        ),
        (
            total.judged_count < answers,
            f"{answers - total.judged_count:,} of {answers:,} training answers have no verdict.",
            _IMPORT_AGAIN.format(name=name, what="a score")
            if is_imported
            else f"Judge them at /label/, or let graders stand in: manage.py grade --study {name} --accept.",
        ),
    ]


def _lacking_figures(study: Study, cells: StudyCells) -> list[_Said]:
    """Return what may be lacking of the figures: energies, those net of idle, tokens."""
    total, is_imported = cells.total, study.kind == Study.Kind.IMPORTED
    answers, scored, energies = total.answer_count, total.products["sci"].n, total.products["energy"].n
    return [
        (
            bool(answers) and energies < scored,
            f"{scored - energies:,} answers have an SCI and no energy, so that no what-if can change them.",
            _IMPORT_AGAIN.format(name=study.name, what="energy_j instead of sci_gco2e"),
        ),
        (
            bool(energies) and not total.products["net"].n and not is_imported,
            "No energy net of idle is known.",
            "Measure idle: manage.py calibrate before, or run_study … --idle-baseline 30.",
        ),
        (
            bool(answers) and not total.products["sci_tokens"].n,
            "No answer tells how many tokens it has.",
            "Imported outcomes have none: measure the models here for figures per token."
            if is_imported
            else "Ask a server that reports token counts.",
        ),
    ]


def _lacking_routes(study: Study, comparison: Comparison | None) -> list[_Said]:
    """Return what may be lacking of the comparison with the router."""
    return [
        (
            comparison is None,
            "No answer to a validation prompt is finished, so that Table 2 and Figure 2 are empty.",
            f"Imported outcomes have none. /routing/ or manage.py evaluate_router --study {study.name} tells on "
            "held-out prompts what routing is worth."
            if study.kind == Study.Kind.IMPORTED
            else "Give a study prompts with the role validation, which the index never learns.",
        ),
        (
            comparison is not None and not comparison.routed_count,
            "The router has not decided on the validation prompts, so that it has no point.",
            f"Let it decide: manage.py compare --study {study.name}, or the button on the dashboards.",
        ),
    ]


def warnings(cells: StudyCells, found: Sequence[Basis]) -> list[str]:
    """Return what keeps the figures from being taken as they stand."""
    qualities = [one for one in cells.total.qualities if one != "missing"]
    said = []
    if "estimated" in qualities:
        said.append(
            "Energies are estimated from the load of the processor. Compare models with care, and trust no "
            "absolute figure."
        )
    if "simulated" in qualities:
        said.append("Energies are simulated: they show how the report works and say nothing of a machine.")
    if len(qualities) > 1:
        said.append(
            f"Energies are of unlike quality ({', '.join(qualities)}). Do not rank one model against another by them."
        )
    made_with = {
        (one.carbon_intensity_gco2e_per_kwh, one.total_embodied_emissions_gco2e, one.expected_lifespan_s)
        for one in found
    }
    if len(made_with) > 1:
        said.append(
            "SCI was made with more than one carbon intensity, embodied total or lifespan; the table of "
            "them says which."
        )
    return said
