"""Add a model that a server offers to the federation, or list what it offers; have it evaluated where wanted."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.describing import OtherWeights
from benchmarks.federating import OtherKind, Timeouts, activate, add_model, connect, ensure_machine, identify_server
from benchmarks.inference.base import InferenceClient
from benchmarks.management.pulling import watch_pull
from benchmarks.models import Deployment, InferenceServer, Machine
from benchmarks.offering import CannotPull, NothingOffered, Offer, list_offers, pull_model
from benchmarks.queueing import enqueue_study
from benchmarks.units import size_in_words
from router.joining import begin, request_evaluation
from router.lifecycle_jobs import enqueue_advance
from router.management.telling import RouterCommand


class Command(RouterCommand):
    help = (
        "Add a model to the federation, as a candidate; the router chooses it once it is active and measured. "
        "With --evaluate, try it and measure it over the known prompts; said again, that goes on. "
        "With --list, show what a server offers and change nothing."
    )
    told = (*RouterCommand.told, OtherWeights, CannotPull, NothingOffered, OtherKind)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="The model's name on the server, for example smollm2:135m.")
        parser.add_argument("--list", action="store_true", help="List what the server offers instead.")
        parser.add_argument("--server", help="Address of the server; OLLAMA_HOST where absent.")
        parser.add_argument(
            "--kind", choices=InferenceServer.Kind.values, default="", help="Kind of a new server; ollama where absent."
        )
        parser.add_argument(
            "--api-key-variable", default="", help="Environment variable that holds the server's key; never the key."
        )
        parser.add_argument("--machine", help="Machine that the server runs on; GREENLLM_MACHINE where absent.")
        parser.add_argument("--pull", action="store_true", help="Have the server fetch the model first (Ollama only).")
        parser.add_argument(
            "--evaluate", action="store_true", help="Try it and measure it over the known prompts of the index."
        )
        parser.add_argument(
            "--test-stop", action="store_true", help="With --evaluate: also try whether a short answer ends by itself."
        )
        parser.add_argument(
            "--activate", action="store_true", help="Let the router choose it from now on, without a dry run."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["name"]) == options["list"]:
            raise CommandError("Name the model to add, or give --list alone to see what the server offers.")
        if options["evaluate"] and options["activate"]:
            raise CommandError("Give --evaluate or --activate: a model is activated once its answers are judged.")
        if options["test_stop"] and not options["evaluate"]:
            raise CommandError("--test-stop is a part of --evaluate; give both.")
        machine_name = options["machine"] or settings.MACHINE_NAME
        machine = Machine(name=machine_name) if options["list"] else ensure_machine(name=machine_name)
        server = identify_server(
            base_url=options["server"] or settings.OLLAMA_HOST,
            machine=machine,
            kind=options["kind"],
            api_key_variable=options["api_key_variable"],
        )
        timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
        client = connect(server=server, timeouts=timeouts)
        if options["list"]:
            for offer in list_offers(server=server, client=client):
                self.stdout.write(_line_of(offer))
        else:
            self._add(options, server, client)

    def _add(self, options: dict[str, Any], server: InferenceServer, client: InferenceClient) -> None:
        name = options["name"]
        if options["pull"]:
            news = pull_model(name=name, client=client)
            watch_pull(news=news, write=self.stdout.write, is_terminal=self.stdout.isatty())
        deployment = add_model(name=name, server=server, client=client, now=timezone.now())
        if options["activate"] and deployment.state != Deployment.State.ACTIVE:
            activate(deployment=deployment, now=timezone.now())
        model = deployment.language_model
        facts = ", ".join(part for part in (model.parameter_size, model.quantization, model.digest[:12]) if part)
        self.stdout.write(f"{deployment} ({facts}): {deployment.get_state_display()}")
        if options["evaluate"]:
            self._evaluate(deployment, client, is_stop_tested=options["test_stop"])

    def _evaluate(self, deployment: Deployment, client: InferenceClient, *, is_stop_tested: bool) -> None:
        evaluation = request_evaluation(deployment=deployment, is_stop_tested=is_stop_tested, now=timezone.now())
        study = begin(evaluation=evaluation, client=client, now=timezone.now())
        findings = evaluation.findings
        if findings:
            context = (
                f"{findings['context_length']} tokens of context" if findings["context_length"] else "context not told"
            )
            self.stdout.write(
                f"Tried: {findings['version']}, {context}, {findings['seconds']:.1f} s, {findings['answer']!r}"
            )
            for note in findings["notes"]:
                self.stdout.write(note)
        if study is None:
            enqueue_advance()
            self.stdout.write("It has answered every known prompt with these parameters: nothing is left to measure.")
        else:
            self.stdout.write(f"{study}: {enqueue_study(study=study)} responses put on the queue of {study.machine}.")
        name = deployment.language_model.name
        self.stdout.write(
            f"The worker measures and grades; judge what waits on /label/, then: manage.py preview_model {name}, and "
            f"manage.py activate_model {name}."
        )


def _line_of(offer: Offer) -> str:
    described = offer.description
    size = size_in_words(described.size_bytes) if described.size_bytes is not None else ""
    facts = (described.parameter_size, described.quantization, size, described.digest[:12])
    told = ", ".join(fact for fact in facts if fact) or "the server tells nothing more"
    return f"{described.name} ({told}): {offer.state or 'not in the federation'}"
