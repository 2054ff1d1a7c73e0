"""The whole loop on this machine in one command."""

import os
import signal
import threading
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.federating import ensure_machine
from benchmarks.inference.base import InferenceClient
from benchmarks.management.watching import watch_study
from benchmarks.models import Study
from benchmarks.queueing import enqueue_study
from benchmarks.studying import start
from greenllm import demo
from greenllm.comparison_table import comparison_lines
from greenllm.demo_reply import live_reply
from greenllm.management.telling import StackCommand
from greenllm.running import Stack
from labeling.guiding import ensure_guidelines
from labeling.suggesting import accept_suggestions, acceptable_in, suggest, told_held_back
from labeling.wiring import graders
from router.evaluating import compare
from router.indexing import NoIndex, current_index, training_prompts
from router.jobs import IndexNotBuilt, build_measured
from router.management.telling import energy_of
from router.wiring import connect_server, embedder, vector_store

_MODELS_TIMEOUT_S = 600.0


class _Stopped(Exception):
    """The person pressed Ctrl-C."""


class Command(StackCommand):
    help = (
        "Run the demo: services, people, prompts, a study, labels, the index, the comparison; then serve the pages "
        "until Ctrl-C. A second run goes on from what is there."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (*StackCommand.told, demo.ModelsNotReady, IndexNotBuilt)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--limit", type=int, help="At most so many prompts of each category and role, for a quick look."
        )
        parser.add_argument("--exit", action="store_true", help="Stop after the table instead of serving on.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._limit: int | None = options["limit"]
        self._ending = threading.Event()
        self._is_serving = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        self._tell("Starting the services")
        try:
            with Stack(tell=self._tell) as stack:
                self._run(stack)
                self._is_serving = True
                if not options["exit"]:
                    self._tell(f"Serving http://{settings.WEB_HOST}:{settings.WEB_PORT} until Ctrl-C.")
                    self._ending.wait()
                self._tell("Stopping every process.")
        except _Stopped:
            self._tell("Stopped. make demo goes on from here.")

    def _end(self, *_: object) -> None:
        """End the wait, or the step that runs now; the study goes on at the next start."""
        if self._ending.is_set():
            return
        self._ending.set()
        if not self._is_serving:
            raise _Stopped

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _run(self, stack: Stack) -> None:
        ensure_machine(name=settings.MACHINE_NAME)
        address = stack.start_programs(
            env={"GREENLLM_ANONYMOUS_ACCESS": _anonymous_access(), "GREENLLM_MEASURE_EVERY": _measured_every()}
        )
        self._tell(f"The pages are at {address}")
        people = demo.ensure_people()
        for person in people:
            self._tell(f"Made {person.username} with the password {person.password} (shown once)")
        if not people:
            self._tell("admin and annotator are there; manage.py changepassword NAME sets a new password")
        key_path = settings.VAR_DIR / "api-key"
        key = demo.ensure_api_key(key_path)
        self._tell(f"API key {key}, kept in {key_path}" if key else f"The API key is in {key_path}")
        self._tell(f"{demo.ensure_prompts()} new prompts in the data set {demo.DATASET}")
        self._tell(f"{ensure_guidelines()} new guidelines for annotators")
        switched_on = demo.switch_on_graders()
        if switched_on:
            self._tell(
                f"Graders may label in {', '.join(switched_on)}: switched on by the demo, because nobody judges in it. "
                f"{address}/label/rules/ shows how right they are and switches them off."
            )
        study = self._measure()
        self._label(study)
        self._index(study)
        self._compare(study)
        self._tell(live_reply(address=address, key=key_path.read_text(encoding="ascii").strip()))

    def _measure(self) -> Study:
        server = demo.ensure_demo_server(machine_name=settings.MACHINE_NAME, base_url=settings.OLLAMA_HOST)
        client = connect_server(server)
        self._await_models(client)
        deployments = demo.ensure_federation(
            server=server, client=client, embedder_name=settings.EMBEDDER_NAME, now=timezone.now()
        )
        study = demo.ensure_study(
            deployments=deployments,
            versions={server.pk: client.health().version},
            now=timezone.now(),
            limit=self._limit,
        )
        if study.state != Study.State.FINISHED:
            start(study=study, now=timezone.now())
            enqueue_study(study=study)
            self._tell("Measuring; the energy is estimated from the load of the processor, because there is no meter")
        watch_study(
            study=study,
            write=self._tell,
            is_terminal=self.stdout.isatty(),
            on_step=lambda: self._label_quietly(study),
        )
        return study

    def _await_models(self, client: InferenceClient) -> None:
        told: list[list[str]] = []

        def tell_once(missing: list[str]) -> None:
            if missing not in told:
                told.append(missing)
                self._tell(f"Waiting for the models: {', '.join(missing)} (made once, from the wheels)")

        names = [*demo.MODELS, settings.EMBEDDER_NAME]
        demo.wait_for_models(client=client, names=names, timeout_s=_MODELS_TIMEOUT_S, on_wait=tell_once)

    def _label_quietly(self, study: Study) -> None:
        """Grade what has been answered, so that the page shows accuracy while the study runs."""
        suggest(study=study, graders=graders())
        accept_suggestions(study=study)

    def _label(self, study: Study) -> None:
        self._label_quietly(study)
        count = study.responses.filter(labels__source="grader").distinct().count()
        self._tell(f"{count} answers labeled by graders, standing in for people (source=grader)")
        held_back = acceptable_in(study=study).held_back
        if held_back:
            self._tell(told_held_back(held_back))
        demo.activate_measured(study=study, now=timezone.now())

    def _index(self, study: Study) -> None:
        prompts = training_prompts(study)
        try:
            index = current_index(embedder=embedder())
            if index.prompt_count >= len(prompts) and index.embedded_text == settings.EMBEDDED_TEXT:
                self._tell(f"Index {index.pk} with {index.prompt_count} prompts is there")
                return
        except NoIndex:
            pass
        machine = ensure_machine(name=settings.MACHINE_NAME)
        index = build_measured(machine=machine, study=study, embedded_text=settings.EMBEDDED_TEXT)
        self._tell(f"Index {index.pk} built: {index.prompt_count} prompts in {index.build_duration_s:.1f} s")
        self._tell(energy_of(index))

    def _compare(self, study: Study) -> None:
        comparison = compare(study=study, embedder=embedder(), store=vector_store(), clock=timezone.now)
        self._tell("")
        for line in comparison_lines(comparison):
            self._tell(line)
        self._tell("")


def _measured_every() -> str:
    """Have one of 20 live requests measured, unless the environment says otherwise."""
    return os.environ.get("GREENLLM_MEASURE_EVERY") or "20"


def _anonymous_access() -> str:
    """Let people on this machine read and ask without signing in, unless the environment says otherwise."""
    return os.environ.get("GREENLLM_ANONYMOUS_ACCESS") or "loopback"
