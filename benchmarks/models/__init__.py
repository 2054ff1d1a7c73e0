"""What is stored of data sets, machines, studies and energy."""

from benchmarks.models.calibration import Calibration
from benchmarks.models.catalog import (
    Category,
    Dataset,
    Deployment,
    InferenceServer,
    LanguageModel,
    Prompt,
)
from benchmarks.models.energy import ChannelReading, EnergyTrace, Measurement
from benchmarks.models.energy_fit import EnergyFit
from benchmarks.models.evaluation import ModelEvaluation
from benchmarks.models.feed import IntensityFeed
from benchmarks.models.machine import CarbonIntensity, Machine
from benchmarks.models.study import (
    ParameterSet,
    Response,
    ResponseAttempt,
    Study,
    StudyDeployment,
    StudyMeasurement,
    StudyPrompt,
)

__all__ = [
    "Calibration",
    "CarbonIntensity",
    "Category",
    "ChannelReading",
    "Dataset",
    "Deployment",
    "EnergyFit",
    "EnergyTrace",
    "InferenceServer",
    "IntensityFeed",
    "LanguageModel",
    "Machine",
    "Measurement",
    "ModelEvaluation",
    "ParameterSet",
    "Prompt",
    "Response",
    "ResponseAttempt",
    "Study",
    "StudyDeployment",
    "StudyMeasurement",
    "StudyPrompt",
]
