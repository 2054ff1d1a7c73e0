"""The control workload of a study: the same piece of work, measured again and again, to see whether the machine drifts.

One fixed prompt to the study's first model, with a fixed seed and token limit: it goes the way of the answers, through
the same server, processor and GPU, where a stress of the processor alone would not see a GPU that throttles.
"""

import logging

from django.db import transaction

from benchmarks.accompanying import WARM_UP_PROMPT, Lab, record, wait_until_cool
from benchmarks.inference.base import ChatMessage, Generation, GenerationParameters, GenerationRequest, InferenceError
from benchmarks.keeping import keep
from benchmarks.models import Measurement, Response, Study, StudyMeasurement
from benchmarks.recording import RecorderBusy, RecordingError
from benchmarks.storing import Observation, storable
from benchmarks.targeting import make_ready
from benchmarks.traces import TraceError

logger = logging.getLogger(__name__)

CONTROL_PROMPT = (
    "Explain in your own words how a bicycle stays upright while it is ridden, which part the rider has in it, and "
    "what changes when it goes slowly. Write at least three paragraphs."
)
CONTROL_SEED = 42
CONTROL_TOKENS = 64


def control_run_count(*, response_count: int, control_every: int) -> int:
    """Return how often a study of so many responses runs it: before the first of each so many, and after the last."""
    return -(-response_count // control_every) + 1 if control_every and response_count else 0


def take_control(*, response: Response, lab: Lab) -> StudyMeasurement | None:
    """Run the control workload before a response where its turn has come; None where it has not, or has been.

    A run that fails is kept as missing, with its reason, and not tried again, so that no response waits for it.

    Raises:
        RecorderBusy: something else measures on the machine; the response waits as well.
    """
    every = response.study.control_every
    if not every:
        return None
    place = max(0, response.sequence - 1) // every * every
    return _take(study=response.study, place=place, lab=lab)


def take_last_control(*, study: Study, lab: Lab) -> StudyMeasurement | None:
    """Run the control workload after the last response, as `take_control`; a machine that is busy leaves it out."""
    if not study.control_every:
        return None
    try:
        return _take(study=study, place=study.responses.count(), lab=lab)
    except RecorderBusy as error:
        logger.warning("study %s has no control run after its last response: %s", study.pk, error)
        return None


def _take(*, study: Study, place: int, lab: Lab) -> StudyMeasurement | None:
    if StudyMeasurement.objects.filter(study=study, place=place).exists():
        return None
    try:
        generation, seen, answer_count = _run(study, lab)
        with transaction.atomic():
            measurement = keep(seen=seen, study=study, purpose=Measurement.Purpose.CONTROL, answer_count=answer_count)
            return StudyMeasurement.objects.create(
                study=study,
                measurement=measurement,
                moment=StudyMeasurement.Moment.DURING,
                place=place,
                text=storable(generation.text),
                output_token_count=generation.output_token_count,
            )
    except RecorderBusy:
        raise
    except (InferenceError, RecordingError, TraceError) as error:
        logger.warning("control run %s of study %s failed: %s", place, study.pk, error)
        return _keep_failure(study, place, error, lab)


def _run(study: Study, lab: Lab) -> tuple[Generation, Observation, int]:
    """Generate between two marks, after an answer to other words: each run so finds the server in the same state."""
    first = (
        study.responses.filter(deployment__study_targets__study=study, deployment__study_targets__position=1)
        .select_related("study", "deployment__server", "deployment__language_model")
        .order_by("sequence", "pk")[0]
    )
    client = lab.connect(first)
    parameters = GenerationParameters(
        seed=CONTROL_SEED,
        temperature=0.0,
        num_ctx=study.parameter_sets.order_by("pk")[0].num_ctx,
        num_predict=CONTROL_TOKENS,
    )
    model = first.deployment.language_model.name
    request = GenerationRequest(model, (ChatMessage("user", CONTROL_PROMPT),), parameters)
    make_ready(server=first.deployment.server, client=client, request=request)
    wait_until_cool(study=study, lab=lab)
    client.generate(GenerationRequest(model, (ChatMessage("user", WARM_UP_PROMPT),), parameters))
    generations, seen = record(
        study=study,
        lab=lab,
        activity=lambda: tuple(client.generate(request) for _ in range(study.back_to_back)),
    )
    return generations[0], seen, len(generations)


def _keep_failure(study: Study, place: int, error: Exception, lab: Lab) -> StudyMeasurement:
    with transaction.atomic():
        measurement = Measurement.objects.create(
            purpose=Measurement.Purpose.CONTROL,
            machine=study.machine,
            started_at=lab.now(),
            quality="missing",
            missing_reason=storable(str(error)) or type(error).__name__,
        )
        return StudyMeasurement.objects.create(
            study=study, measurement=measurement, moment=StudyMeasurement.Moment.DURING, place=place
        )
