"""Every page that a person can open, taken from the URL configuration, so that a new one cannot be forgotten.

A route is a page unless `LEFT_OUT` says why not, or its view only takes forms. What stands in its address comes from
a row of the database (`known_rows`); `QUERIES` adds further looks at it: filters, sorts and pages far back.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from string import Formatter
from typing import Any

_FILE = "a file with every row of what was asked for, which nobody waits for before a page"
_DJANGO = "Django's or RQ's own, about one row or none"
LEFT_OUT = {
    "openai:*": "an endpoint for programs",
    "ollama:*": "an endpoint for programs",
    "api-health": "for programs",
    "health": "for programs",
    "metrics": "for programs",
    "operations:live": "a stream without an end",
    "federation:health": "waits for the servers of models",
    "studies:estimate": "asks the servers of models",
    "studies:samples*": _FILE,
    "studies:spread-csv": _FILE,
    "exports:download": _FILE,
    "bundles:download": _FILE,
    "labeling:download-labels": _FILE,
    "reports:file": _FILE,
    "account:acts-csv": _FILE,
    "account:set-password": "needs the token of a link",
    **dict.fromkeys(
        (
            "account_login",
            "account_reauthenticate",
            "mfa_activate_totp",
            "mfa_authenticate",
            "mfa_deactivate_totp",
            "mfa_download_recovery_codes",
            "mfa_generate_recovery_codes",
            "mfa_reauthenticate",
            "mfa_view_recovery_codes",
        ),
        "takes a step of signing in first; tests/greenllm/test_second_factor.py looks at it",
    ),
    "account:sign-out": "ends the session of the bench",
    "admin-sign-in": "leads elsewhere",
    "admin:": _DJANGO,
    "admin:*_add": _DJANGO,
    "admin:*_history": _DJANGO,
    "admin:*_delete": "lists what goes with a row; nothing that has rows below it is deleted there",
    "admin:*password*": _DJANGO,
    "admin:log*": _DJANGO,
    "admin:autocomplete": _DJANGO,
    "admin:jsi18n": _DJANGO,
    "admin:view_on_site": _DJANGO,
    "admin:django_rq_*": _DJANGO,
}
# what else to ask of a page: the names in braces are those of `known_rows`
QUERIES: dict[str, tuple[str, ...]] = {
    "dashboards:study-tables": ("study={study}",),
    "operations:operations": ("span=24h", "span=30d&compare=before", "span=90d&group=category&baseline=largest"),
    "studies:list": ("state=finished", "kind=measured"),
    "studies:detail": (
        "model={model}", "category={category}", "state=failed", "verdict=incorrect", "verdict=open",
        "verdict=disputed", "prompts=validation", "model={model}&category={category}&verdict=correct",
        "after={late_response}", "before={late_response}", "verdict=correct&after={late_response}",
        "sort=sci", "sort=-sci", "sort=energy", "sort=-energy", "sort=took", "sort=-took", "sort=-number",
        "sort=-energy&after={late_response}", "sort=sci&before={late_response}", "sort=-sci&verdict=incorrect",
        "sort=energy&model={model}&category={category}&verdict=correct", "sort=took&verdict=disputed",
    ),
    "studies:spread": ("per=prompts",),
    "comparing:compare": ("a={study}&b={other_study}",),
    "quality:over-time": ("per=days", "per=labels"),
    "quality:answers": ("grade=correct&verdict=incorrect",),
    "labeling:next": ("study={study}", "category={category}"),
    "labeling:history": ("page=1000",),
    "federation:kept": ("page=500",),
    "chat:start": ("q=words", "page=200"),
    "account:keys": ("owner=person", "page=5"),
    "account:people": ("name=person",),
    "account:acts": ("sort=when", "sort=who", "sort=-from"),
}  # fmt: skip

NOTHING_WITHOUT = {"quality:answers"}  # there is no such page without a query


@dataclass(frozen=True)
class Route:
    """One route: its name with its namespace, and what stands in its address."""

    name: str
    arguments: tuple[str, ...] = ()
    is_form_only: bool = False

    @property
    def why_left_out(self) -> str:
        """Return why it is no page to be measured; empty where it is one."""
        if self.is_form_only:
            return "only takes forms"
        return next((why for pattern, why in LEFT_OUT.items() if fnmatchcase(self.name, pattern)), "")


def routes() -> list[Route]:
    """Return every route that has a name, each name once; the admin's unnamed ones only redirect."""
    from django.urls import get_resolver

    return list({one.name: one for one in leaves(get_resolver(), (), ())}.values())


def leaves(resolver: Any, namespaces: tuple[str, ...], arguments: tuple[str, ...]) -> Iterator[Route]:
    for one in resolver.url_patterns:
        here = (*arguments, *one.pattern.regex.groupindex)
        if hasattr(one, "url_patterns"):
            inside = (*namespaces, one.namespace) if one.namespace else namespaces
            yield from leaves(one, inside, here)
        else:
            yield Route(":".join([*namespaces, one.name or ""]), here, _is_form_only(one.callback))


def _is_form_only(view: Any) -> bool:
    """Tell whether one of a view's decorators refuses GET: Django's `require_POST` keeps what it allows."""
    while view is not None:
        allowed = (
            inspect.getclosurevars(view).nonlocals.get("request_method_list") if inspect.isfunction(view) else None
        )
        if allowed is not None and "GET" not in allowed:
            return True
        view = getattr(view, "__wrapped__", None)
    return False


def paths_of(route: Route, rows: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a page: as it is, and with each of its queries. None where no row stands for it.

    Raises:
        LookupError: nobody has said which row stands in its address.
    """
    from django.urls import reverse

    values = {}
    for argument in route.arguments:
        key = f"{route.name}.{argument}" if f"{route.name}.{argument}" in rows else _key(route.name, argument)
        if key not in rows:
            raise LookupError(f"{route.name}: say in tests/bench/routes.py which row stands for {argument}")
        if rows[key] is None:
            return []
        values[argument] = rows[key]
    path = reverse(route.name, kwargs=values)
    asked = [f"{path}?{query.format(**rows)}" for query in QUERIES.get(route.name, ()) if _is_known(query, rows)]
    return asked if route.name in NOTHING_WITHOUT else [path, *asked]


def _key(name: str, argument: str) -> str:
    return f"{name.partition(':')[0]}.{argument}"


def _is_known(query: str, rows: Mapping[str, Any]) -> bool:
    return all(rows[name] is not None for _, name, _, _ in Formatter().parse(query) if name)


def pages_of(rows: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the first address of every page by its route, and of each other route why it has none."""
    addresses, reasons = {}, {}
    for route in routes():
        why = route.why_left_out
        paths = [] if why else paths_of(route, rows)
        if paths:
            addresses[route.name] = paths[0]
        else:
            reasons[route.name] = why or "no row stands for it in this database"
    return addresses, reasons


def why_no_page(status: int, headers: Mapping[str, str], text: str) -> str:
    """Return why an answer is no page to be looked at; empty where it is one."""
    kind = headers.get("content-type", "").partition(";")[0]
    if 300 <= status < 400:
        return f"leads to {headers.get('location')}"
    if status != 200:
        return f"answers with status {status}"
    if kind != "text/html":
        return f"a file ({kind})"
    return "" if text.lstrip().lower().startswith("<!doctype html") else "a part of a page"


def known_rows(owner: Any = None) -> dict[str, Any]:
    """Return the rows that stand in addresses, by namespace and argument or by what a query calls them.

    None where the database has no such row. Where an owner is given, the conversation is theirs.
    """
    from benchmarks.models import Category, Deployment, LanguageModel, Response, Study
    from labeling.models import Correction, Guideline
    from router.models import ApiKey, Conversation, Evaluation

    study, other_study = [*Study.objects.filter(kind="measured").order_by("-pk")[:2], None, None][:2]
    name, response = getattr(study, "name", None), Response.objects.filter(study=study).order_by("pk").last()
    conversations = Conversation.objects.filter(owner=owner) if owner else Conversation.objects.all()
    found = {
        "study": name, "other_study": getattr(other_study, "name", None),
        "model": getattr(LanguageModel.objects.order_by("pk").last(), "name", None),
        "category": getattr(Category.objects.order_by("pk").last(), "name", None),
        "late_response": _late_response(study) if response else None,
        **dict.fromkeys(("studies.name", "reports.name", "exports.name", "comparing.name"), name),
        "studies.pk": getattr(response, "pk", None),
        "dashboards.chart": "mean-sci", "operations.chart": "saving", "quality.table": "people",
        "labeling.correction_id": _key_of(Correction), "labeling.guideline_id": _key_of(Guideline),
        "chat.public_id": getattr(conversations.order_by("pk").last(), "public_id", None),
        "routing.evaluation_id": _key_of(Evaluation), "routing.table": "approaches",
        "federation.deployment_id": getattr(Deployment.objects.chat().order_by("pk").last(), "pk", None),
        "account.key_id": _key_of(ApiKey), "account.person_id": _key_of(ApiKey, "owner_id"),
        "admin.app_label": "benchmarks",
    }  # fmt: skip
    return found | _rows_of_admin()


def _late_response(study: Any) -> int:
    from django.db.models import Max, Min

    ends = study.responses.aggregate(low=Min("pk"), high=Max("pk"))
    return int(ends["low"] + 0.9 * (ends["high"] - ends["low"]))


def _rows_of_admin() -> dict[str, Any]:
    """Return a row for each table of the admin, None where it has none."""
    from django.contrib import admin

    return {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_change.object_id": _key_of(model)
        for model in admin.site._registry
        if model._meta.managed
    }


def _key_of(model: Any, field: str = "pk") -> Any:
    return model._default_manager.order_by("pk").values_list(field, flat=True).last()
