"""The card of a Hugging Face dataset: YAML for the hub, words for people. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"


@dataclass(frozen=True)
class CardTable:
    """One table of the dataset as the card tells it."""

    name: str
    path: str
    row_count: int
    told: str


@dataclass(frozen=True)
class CardFacts:
    """What the card says of a study."""

    study: str
    title: str
    made_on: str
    models: Sequence[str]
    qualities: Sequence[str]
    licences: Sequence[tuple[str, str]]  # data set of the prompts, its licence
    missing_count: int


def dataset_card(facts: CardFacts, tables: Sequence[CardTable]) -> str:
    """Return README.md of a dataset folder; texts from elsewhere are quoted as JSON, which YAML reads as it is."""
    size = next((word for limit, word in _SIZES if tables[0].row_count < limit), _LARGEST)
    lines = [
        "---",
        f"pretty_name: {json.dumps(facts.title or facts.study, ensure_ascii=False)}",
        "license: other",
        "license_name: see-below",
        "task_categories:",
        "- text-generation",
        "tags:",
        *(f"- {tag}" for tag in ("energy", "carbon", "llm-evaluation", *_simulated_tag(facts))),
        "size_categories:",
        f"- {size}",
        "configs:",
    ]
    for number, table in enumerate(tables):
        lines += [f"- config_name: {table.name}", f"  data_files: {json.dumps(table.path)}"]
        lines += ["  default: true"] if number == 0 else []
    return "\n".join([*lines, "---", "", *_words(facts, tables), ""])


def _simulated_tag(facts: CardFacts) -> tuple[str, ...]:
    return ("simulated",) if "simulated" in facts.qualities else ()


def _words(facts: CardFacts, tables: Sequence[CardTable]) -> list[str]:
    qualities = ", ".join(facts.qualities) or "none"
    warning = ["", "**Some or all energies are simulated: no device measured them.**"] if _simulated_tag(facts) else []
    return [
        f"# {_one_line(facts.title or facts.study)}",
        "",
        f"Answers of {len(facts.models)} language models ({', '.join(map(_one_line, facts.models))}) with what each "
        f"cost in energy and carbon, from the GreenLLM study `{facts.study}`, written on {facts.made_on}.",
        *warning,
        "",
        "| table | rows | a row is |",
        "|---|---|---|",
        *(f"| `{table.name}` | {table.row_count:,} | {table.told} |" for table in tables),
        "",
        "`response` joins responses, labels and energy; `dataset` and `prompt` join prompts and responses.",
        "",
        "Units are the end of a column's name: `_j` joules (gross, idle included, unless `net`), `_mw` milliwatts, "
        "`_s` and `_ns` seconds and nanoseconds, `_gco2e` grams of CO2 equivalent. `sci_gco2e` is the Software Carbon "
        "Intensity (ISO/IEC 21031) of one answer: operational plus embodied emissions.",
        "",
        f"Quality of the energies: {qualities}. {facts.missing_count:,} answers have no energy; it is null, never 0. "
        "Energies of unlike quality are not to be compared. Where `answer_count` is above 1, energy and score are the "
        "mean of so many answers given back to back, and the table `energy` has all of them together.",
        "",
        "People who judged are `annotator-1` and so on; their remarks are left out.",
        "",
        "## Licences of the prompts",
        "",
        *(f"* {_one_line(name)}: {_one_line(licence) or 'not told'}" for name, licence in facts.licences),
        "",
        "Answers are under the terms of the models that gave them.",
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())
