"""Add a model that a server offers to the federation."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.federating import Timeouts, activate, add_model, connect, ensure_machine, ensure_server
from benchmarks.management.telling import TellingCommand
from benchmarks.models import Deployment


class Command(TellingCommand):
    help = "Add a model to the federation, as a candidate; the router chooses it once it is active and measured."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The model's name on the server, for example smollm2:135m.")
        parser.add_argument("--server", help="Address of the server; OLLAMA_HOST where absent.")
        parser.add_argument("--machine", help="Machine that the server runs on; GREENLLM_MACHINE where absent.")
        parser.add_argument("--activate", action="store_true", help="Let the router choose it from now on.")

    def handle(self, *args: Any, **options: Any) -> None:
        machine = ensure_machine(name=options["machine"] or settings.MACHINE_NAME)
        server = ensure_server(base_url=options["server"] or settings.OLLAMA_HOST, machine=machine)
        timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
        deployment = add_model(
            name=options["name"],
            server=server,
            client=connect(server=server, timeouts=timeouts),
            now=timezone.now(),
        )
        if options["activate"] and deployment.state != Deployment.State.ACTIVE:
            activate(deployment=deployment, now=timezone.now())
        model = deployment.language_model
        facts = ", ".join(part for part in (model.parameter_size, model.quantization, model.digest[:12]) if part)
        self.stdout.write(f"{deployment} ({facts}): {deployment.get_state_display()}")
