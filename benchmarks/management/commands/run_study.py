"""Create a study, or go on with one, and watch it."""

from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.choosing import STUDIED_ROLES, choose_prompts
from benchmarks.drifting import control_report
from benchmarks.federating import Timeouts, ensure_machine, find_deployment
from benchmarks.inference.connecting import usual_num_ctx
from benchmarks.launching import ask_versions, launch
from benchmarks.management.drift_words import told_control
from benchmarks.management.router_target import add_router_arguments, router_of
from benchmarks.management.telling import TellingCommand
from benchmarks.management.watching import watch_study
from benchmarks.models import InferenceServer, Prompt, Study
from benchmarks.models.study import USUAL_MEASURE_AGAIN_COUNT
from benchmarks.queueing import enqueue_study
from benchmarks.studying import Design, Parameters, StudyError, create_study
from benchmarks.sweeping import grid_of, parse_sweep


class Command(TellingCommand):
    help = (
        "Create a study and start it, or go on with the one of that name. A worker (manage.py work, or manage.py up) "
        "does the measuring; this command only watches, and Ctrl-C leaves the study running."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        _add_choice(parser)
        _add_generation(parser)
        _add_measuring(parser)
        parser.add_argument("--no-wait", action="store_true", help="Return as soon as the work is on the queue.")

    def handle(self, *args: Any, **options: Any) -> None:
        study = Study.objects.filter(name=options["name"]).first() or self._create(options)
        launch(study=study, now=timezone.now())
        self.stdout.write(f"{study}: {enqueue_study(study=study)} responses put on the queue.")
        if not options["no_wait"]:
            watch_study(study=study, write=self.stdout.write, is_terminal=self.stdout.isatty())
            report = control_report(study=study)
            if report is not None:
                self.stdout.write(told_control(report))

    def _create(self, options: dict[str, Any]) -> Study:
        machine = ensure_machine(name=settings.MACHINE_NAME)
        timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
        if options["router"]:
            if options["model"]:
                raise StudyError("Give --router or --model, not both: a study of the router asks the router alone.")
            deployments = [router_of(options, machine, timeouts)]
        else:
            deployments = [find_deployment(name=name) for name in options["model"]]
        servers = {deployment.server for deployment in deployments}
        versions = ask_versions(servers=servers, timeouts=timeouts)
        return create_study(
            name=options["name"],
            machine=machine,
            deployments=deployments,
            prompts=_prompts(options),
            parameters=grid_of(_base(options, servers), parse_sweep(options["sweep"])),
            repeats=options["repeats"],
            design=Design(
                warm_up_count=options["warm_up"],
                idle_baseline_s=options["idle_baseline"],
                back_to_back=options["back_to_back"],
                control_every=options["control_every"],
                measure_again_count=options["measure_again"],
            ),
            server_versions=versions,
        )


def _base(options: dict[str, Any], servers: Collection[InferenceServer]) -> Parameters:
    """Return the parameters of which a sweep changes some."""
    return Parameters(
        seed=options["seed"],
        temperature=options["temperature"],
        num_ctx=options["num_ctx"] if options["num_ctx"] is not None else _usual_num_ctx(servers),
        num_predict=options["num_predict"],
    )


def _usual_num_ctx(servers: Iterable[InferenceServer]) -> int | None:
    """Return the context that every server of the study takes from a request, None where one takes none."""
    usual = {usual_num_ctx(server.kind) for server in servers}
    return usual.pop() if len(usual) == 1 else None


def _prompts(options: dict[str, Any]) -> list[Prompt]:
    if not options["dataset"]:
        raise StudyError("Name at least one data set with --dataset.")
    roles = [options["role"]] if options["role"] else STUDIED_ROLES
    return list(
        choose_prompts(datasets=options["dataset"], categories=options["category"], roles=roles, limit=options["limit"])
    )


def _add_choice(parser: CommandParser) -> None:
    """Add what says who is asked what."""
    parser.add_argument("name", help="Name of the study: letters, digits and hyphens.")
    parser.add_argument("--model", action="append", default=[], help="A model to ask; may be given several times.")
    parser.add_argument("--router", action="store_true", help="Ask the router (the model auto) instead of models.")
    add_router_arguments(parser)
    parser.add_argument("--dataset", action="append", default=[], help="Data set to ask; several may be given.")
    parser.add_argument("--category", action="append", default=[], help="Only prompts of this category.")
    parser.add_argument("--role", choices=STUDIED_ROLES, help="Only prompts of this role; both where absent.")
    parser.add_argument("--limit", type=int, help="At most so many prompts of each category.")


def _add_generation(parser: CommandParser) -> None:
    """Add what says how answers are generated."""
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument(
        "--num-ctx",
        type=int,
        help="Context in tokens; 2048 where absent. Only Ollama takes it, so that a study with another server "
        "leaves it to the servers.",
    )
    parser.add_argument("--num-predict", type=int, default=256)
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="NAME=V1,V2",
        help="Ask with each of these values of a generation parameter, for example temperature=0,0.5,1; several "
        "sweeps make a grid.",
    )


def _add_measuring(parser: CommandParser) -> None:
    """Add what says how they are measured."""
    parser.add_argument(
        "--warm-up", type=int, default=0, help="Answers of each model to throw away before its first measured one."
    )
    parser.add_argument(
        "--idle-baseline",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="Measure idle for so long before the first response and after the last, for the energy net of idle.",
    )
    parser.add_argument(
        "--back-to-back",
        type=int,
        default=1,
        metavar="K",
        help="Generate each answer so often within one measurement, where answers are shorter than ten samples.",
    )
    parser.add_argument(
        "--control-every",
        type=int,
        default=0,
        metavar="N",
        help="Measure one fixed piece of work at the start, after every N responses and at the end, which tells "
        "whether the machine drifts.",
    )
    parser.add_argument(
        "--measure-again",
        type=int,
        default=USUAL_MEASURE_AGAIN_COUNT,
        metavar="N",
        help="How often at most a response is measured again whose energy is missing because a meter fell silent "
        f"({USUAL_MEASURE_AGAIN_COUNT}).",
    )
