from django.contrib import admin
from django.http import HttpRequest

from benchmarks.admin import ReadOnlyAdmin
from router import models


@admin.register(models.ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[models.ApiKey]):
    """Keys are made with manage.py create_key, because the secret is shown once; here they are revoked."""

    list_display = ["name", "prefix", "owner", "created_at", "revoked_at", "latest_used_at"]
    list_select_related = ["owner"]
    fields = ["name", "owner", "prefix", "created_at", "revoked_at", "latest_used_at"]
    readonly_fields = ["owner", "prefix", "created_at", "latest_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(models.PromptIndex)
class PromptIndexAdmin(ReadOnlyAdmin):
    list_display = ["id", "state", "embedder", "embedded_text", "prompt_count", "dimension", "built_at"]
    list_select_related = ["embedder"]


@admin.register(models.PolicyVersion)
class PolicyVersionAdmin(admin.ModelAdmin[models.PolicyVersion]):
    """The latest version counts at once, in every process. None is changed or deleted: the old ones are the history."""

    list_display = ["id", "policy", "sci_price", "fallback", "novelty", "note", "made_by", "created_at"]
    list_select_related = ["fallback__language_model", "fallback__server", "made_by"]
    exclude = ["made_by"]

    def save_model(self, request: HttpRequest, obj: models.PolicyVersion, form: object, change: bool) -> None:
        """Store who made it."""
        obj.made_by_id = request.user.pk
        obj.save()

    def has_change_permission(self, request: HttpRequest, obj: models.PolicyVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.PolicyVersion | None = None) -> bool:
        return False


@admin.register(models.Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "outcomes", "state", "made_by", "created_at"]
    list_filter = ["kind", "state"]
    list_select_related = ["made_by"]


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
        "state",
        "error_code",
        "started_at",
        "finished_at",
    ]
    list_filter = ["surface", "state"]
    inlines = [UpstreamAttemptInline]


@admin.register(models.RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyAdmin):
    list_display = ["id", "decided_at", "policy", "category", "chosen", "reason", "predicted_sci_gco2e"]
    list_filter = ["policy", "reason", "category"]
    list_select_related = ["category", "chosen__language_model", "chosen__server"]


admin.site.register([models.IndexedPrompt, models.UpstreamAttempt], ReadOnlyAdmin)
