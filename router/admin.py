from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from benchmarks.admin import ReadOnlyAdmin, TickedRows
from router import models
from router.background_routing import BACKGROUND_POLICY


@admin.register(models.ApiKey)
class ApiKeyAdmin(TickedRows):
    """Keys are made with manage.py create_key, because the secret is shown once; here they are revoked and set."""

    list_display = [
        "name",
        "prefix",
        "owner",
        "policy",
        "budget_gco2e_per_hour",
        "created_at",
        "revoked_at",
        "latest_used_at",
    ]
    list_select_related = ["owner"]
    fieldsets = [
        (None, {"fields": ["name", "owner", "prefix", "created_at", "revoked_at", "latest_used_at"]}),
        (
            "How its prompts are routed",
            {
                "fields": ["policy", "sci_price", "accuracy_floor"],
                "description": "Left empty, the latest policy version counts. What a request or the model auto:green "
                "sets counts before what is set here.",
            },
        ),
        (
            "What it may be used for",
            {"fields": ["scopes", "allowed_models", "requests_per_minute", "tokens_per_minute", "is_cache_allowed"]},
        ),
        (
            "What of it may be kept",
            {"fields": ["is_keeping_agreed"], "description": "Only the owner can agree, on the page of the key."},
        ),
        (
            "What its requests may cost",
            {
                "fields": [
                    "budget_gco2e_per_hour",
                    *("soft_gco2e_per_day", "hard_gco2e_per_day", "soft_gco2e_per_month", "hard_gco2e_per_month"),
                ],
                "description": "On the page of the key a new limit counts what was spent before in this month; here "
                "it begins with nothing spent.",
            },
        ),
    ]
    readonly_fields = ["owner", "prefix", "created_at", "latest_used_at", "is_keeping_agreed"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(models.PromptIndex)
class PromptIndexAdmin(ReadOnlyAdmin):
    list_display = ["id", "state", "embedder", "embedded_text", "prompt_count", "dimension", "built_at"]
    list_select_related = ["embedder"]


@admin.register(models.PolicyVersion)
class PolicyVersionAdmin(TickedRows):
    """The latest version counts at once, in every process. None is changed or deleted: the old ones are the history."""

    list_display = ["id", "policy", "estimator", "sci_price", "fallback", "novelty", "note", "made_by", "created_at"]
    list_select_related = ["fallback__language_model", "fallback__server", "made_by"]
    fieldsets = [
        (None, {"fields": ["policy", "estimator", "neighbour_count", "note"]}),
        ("Of knn and category", {"fields": ["sci_price"]}),
        ("Of guarded and cascade", {"fields": ["caution", "tolerance", "novelty"]}),
        ("Of guarded, cascade and fixed", {"fields": ["fallback"]}),
        ("Of floor", {"fields": ["accuracy_floor"]}),
        ("What a model is expected to cost", {"fields": ["is_intensity_live", "prompts_per_load"]}),
        (
            "What a request may set otherwise",
            {
                "fields": ["is_open", "most_sci_price", "least_accuracy_floor"],
                "description": "By the field greenllm of its body, or by the models auto:green and auto:quality. What "
                "is outside is refused and told.",
            },
        ),
    ]

    def save_model(self, request: HttpRequest, obj: models.PolicyVersion, form: object, change: bool) -> None:
        """Store who made it."""
        obj.made_by_id = request.user.pk
        obj.save()

    def has_change_permission(self, request: HttpRequest, obj: models.PolicyVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.PolicyVersion | None = None) -> bool:
        return False


@admin.register(models.CheckerMeasurement)
class CheckerMeasurementAdmin(ReadOnlyAdmin):
    list_display = [
        "checker", "version", "language_model", "second_model", "category", "study", "answer_count", "accepted_count",
        "accepted_right_count", "right_count", "measured_at",
    ]  # fmt: skip
    list_filter = ["checker", "category"]
    list_select_related = ["language_model", "second_model", "category", "study"]


@admin.register(models.Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "outcomes", "state", "made_by", "created_at"]
    list_filter = ["kind", "state"]
    list_select_related = ["made_by"]


@admin.register(models.KeyHour)
class KeyHourAdmin(ReadOnlyAdmin):
    list_display = ["api_key", "began_at", "spent_gco2e", "price", "request_count"]
    list_select_related = ["api_key"]


@admin.register(models.KeyDay)
class KeyDayAdmin(ReadOnlyAdmin):
    list_display = ["api_key", "day", "spent_gco2e", "request_count"]
    list_select_related = ["api_key"]


@admin.register(models.KeyDenial)
class KeyDenialAdmin(ReadOnlyAdmin):
    list_display = ["api_key", "began_at", "reason", "count"]
    list_filter = ["reason"]
    list_select_related = ["api_key"]


class UpstreamAttemptInline(admin.TabularInline[models.UpstreamAttempt, models.GatewayRequest]):
    model = models.UpstreamAttempt
    extra = 0
    can_delete = False


@admin.register(models.GatewayRequest)
class GatewayRequestAdmin(ReadOnlyAdmin):
    list_display = [
        "public_id",
        "surface",
        "requested_model",
        "background_task",
        "state",
        "error_code",
        "started_at",
        "finished_at",
    ]
    list_filter = ["surface", "state", "background_task"]
    inlines = [UpstreamAttemptInline]


class PolicyFilter(admin.SimpleListFilter):
    """Filters by the policies that there are; those of all rows would have to be looked for in each."""

    title = "policy"
    parameter_name = "policy"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every policy that may have decided."""
        return [*models.PolicyVersion.Policy.choices, (BACKGROUND_POLICY, "Background prompts")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the decisions of the chosen policy."""
        return queryset.filter(policy=self.value()) if self.value() else queryset


@admin.register(models.RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyAdmin):
    list_display = ["id", "decided_at", "policy", "category", "chosen", "reason", "predicted_sci_gco2e"]
    list_filter = [PolicyFilter, "reason", "category"]
    list_select_related = ["category", "chosen__language_model", "chosen__server"]


@admin.register(models.CachedAnswer)
class CachedAnswerAdmin(ReadOnlyAdmin):
    list_display = ["id", "request", "api_key", "deployment", "category", "created_at", "expires_at"]
    list_select_related = ["request", "api_key", "deployment__language_model", "deployment__server", "category"]
    exclude = ["vector"]


admin.site.register([models.IndexedPrompt, models.UpstreamAttempt, models.WebProcess], ReadOnlyAdmin)
