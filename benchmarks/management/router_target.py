"""The options of commands that measure a router, and the deployment that they mean."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.federating import Timeouts, connect, identify_server
from benchmarks.models import Deployment, InferenceServer, Machine
from benchmarks.studying import StudyError
from benchmarks.targeting import ensure_router


def add_router_arguments(parser: CommandParser) -> None:
    """Add the options that say which router, which key, and what the network to it costs."""
    parser.add_argument(
        "--router-url", help="Address of the router's OpenAI wire; this installation's own where absent."
    )
    parser.add_argument(
        "--api-key-variable",
        default="GREENLLM_ROUTER_KEY",
        help="Environment variable of the worker that holds an API key of the router; GREENLLM_ROUTER_KEY where "
        "absent. Never the key.",
    )
    parser.add_argument(
        "--network-kwh-per-gb",
        type=float,
        help="Energy of the network to a router that is not on this machine; without it the energy is missing.",
    )


def router_of(options: dict[str, Any], machine: Machine, timeouts: Timeouts) -> Deployment:
    """Return the router that the options name, as a deployment.

    Raises:
        StudyError: the figure of the network is negative.
        OtherKind, NoRouter, ModelNotOffered, InferenceError: it cannot be asked, or is no router.
    """
    if (options["network_kwh_per_gb"] or 0.0) < 0:
        raise StudyError("--network-kwh-per-gb must be 0 or more.")
    server = identify_server(
        base_url=options["router_url"] or f"http://{settings.WEB_HOST}:{settings.WEB_PORT}/v1",
        machine=machine,
        kind=InferenceServer.Kind.OPENAI.value,
        api_key_variable=options["api_key_variable"],
    )
    return ensure_router(
        server=server,
        client=connect(server=server, timeouts=timeouts),
        now=timezone.now(),
        network_kwh_per_gb=options["network_kwh_per_gb"],
    )
