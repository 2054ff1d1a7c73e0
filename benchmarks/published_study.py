"""The figures that the study behind GreenLLM printed, for comparison. Pure.

Source: Hoffmann and Majuntke, Improving Carbon Emissions of Federated Large Language Model Inference through
Classification of Task-Specificity, HotCarbon '24, Tables 3, 4 and 5 and Figure 2. SCI in gCO2e; the paper cuts its
figures off after four digits. Each cell of Tables 4 and 5 is over 50 prompts.
"""

from dataclasses import dataclass

CITATION = (
    "Hoffmann and Majuntke: Improving Carbon Emissions of Federated Large Language Model Inference through "
    "Classification of Task-Specificity. HotCarbon '24."
)
PROMPTS_PER_CELL = 50
CARBON_INTENSITY_GCO2E_PER_KWH = 385.0
TOTAL_EMBODIED_EMISSIONS_GCO2E = 574_100.0
CATEGORIES = ("code", "math", "questions", "sql", "translation")


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """One model in one category: mean SCI of its right answers, accuracy, and sum of SCI over all 50."""

    mean_sci_of_right_gco2e: float
    accuracy: float
    sum_sci_gco2e: float


@dataclass(frozen=True, slots=True)
class PublishedPoint:
    """One approach of Figure 2 over the 25 validation prompts, as the text names it."""

    name: str
    accuracy: float
    sum_sci_gco2e: float


FIGURE_2 = (PublishedPoint("llama3", 0.88, 4.6814), PublishedPoint("classifier", 0.72, 2.0807))
FIGURE_2_PROMPTS = 25

# by model: the cells in the order of `CATEGORIES`
_PRINTED: dict[str, tuple[tuple[float, float, float], ...]] = {
    "codellama": (
        (0.1815, 0.94, 9.4944),
        (0.2260, 0.62, 11.8264),
        (0.0942, 0.62, 4.4774),
        (0.2757, 0.80, 14.0644),
        (0.0328, 0.84, 1.6367),
    ),
    "gemma": (
        (0.4726, 0.98, 23.6249),
        (0.2052, 0.72, 10.3582),
        (0.0560, 0.64, 2.5469),
        (0.2846, 0.72, 13.6006),
        (0.0519, 0.88, 2.5755),
    ),
    "llama3": (
        (0.2973, 1.00, 14.8684),
        (0.1491, 0.88, 7.5321),
        (0.1830, 0.84, 8.9135),
        (0.2839, 0.82, 15.0997),
        (0.0902, 0.96, 4.4717),
    ),
    "mistral": (
        (0.3156, 0.92, 16.1504),
        (0.2573, 0.80, 12.8255),
        (0.1371, 0.84, 7.0139),
        (0.2176, 0.86, 12.0887),
        (0.0420, 0.96, 2.0640),
    ),
    "sqlcoder": (
        (0.1490, 0.44, 5.3165),
        (0.2469, 0.48, 6.8574),
        (0.2773, 0.24, 9.3100),
        (0.1015, 0.60, 5.1250),
        (0.1910, 0.20, 5.6436),
    ),
    "stablelm2": (
        (0.0837, 0.96, 4.2502),
        (0.0545, 0.42, 2.5880),
        (0.1164, 0.60, 5.1270),
        (0.1615, 0.50, 8.1730),
        (0.0708, 0.72, 3.7212),
    ),
    "tinyllama": (
        (0.0445, 0.92, 2.1936),
        (0.0269, 0.56, 1.1683),
        (0.0163, 0.36, 0.8012),
        (0.0558, 0.28, 2.6111),
        (0.0093, 0.54, 0.4889),
    ),
    "wizard-math": (
        (0.5052, 0.94, 25.6002),
        (0.3218, 0.82, 14.3143),
        (0.3054, 0.74, 12.9625),
        (0.4107, 0.84, 21.4763),
        (0.1720, 0.92, 8.4628),
    ),
}
MODELS = tuple(_PRINTED)
CELLS = {
    (category, model): PublishedCell(*figures)
    for model, cells in _PRINTED.items()
    for category, figures in zip(CATEGORIES, cells, strict=True)
}


def published_name_of(model: str) -> str | None:
    """Return the name under which the paper has a model of Ollama, whatever its tag; None for another model."""
    name = model.rpartition("/")[2].partition(":")[0].lower()
    return name if name in _PRINTED else None
