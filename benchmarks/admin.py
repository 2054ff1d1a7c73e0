"""The admin of everything that is measured; what a study made can be read here, not changed."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from benchmarks import models

MOST_LISTED = 10_000


class LatestPaginator(Paginator[Any]):
    """Counts the first rows of a list alone and leads no further: counting a million takes longer than a page may."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are, `MOST_LISTED` at most."""
        rows = cast("QuerySet[Any]", self.object_list)  # the admin pages through rows of a table alone
        return rows.order_by()[:MOST_LISTED].count()


class TickedRows(admin.ModelAdmin[Any]):
    """Writes the box of each row of a list by code: Django's makes a field and two templates of each."""

    def action_checkbox(self, obj: Model) -> SafeString:
        """Return what chooses a row for an action."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME, str(obj.pk), f"Select this object for an action - {obj}",
        )  # fmt: skip


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shows rows that the product makes; changing them by hand would make a measurement say what nobody measured.

    A list leads through the latest 10,000 rows that the filters leave.
    """

    paginator = LatestPaginator
    show_full_result_count = False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say where the list ends."""
        told = {"subtitle": f"the latest {MOST_LISTED:,} at most; filters lead to others"}
        return super().changelist_view(request, {**told, **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.Machine)
class MachineAdmin(TickedRows):
    list_display = ["name", "zone", "cpu_model", "total_embodied_emissions_gco2e", "expected_lifespan_s"]


@admin.register(models.CarbonIntensity)
class CarbonIntensityAdmin(TickedRows):
    list_display = [
        "zone", "gco2e_per_kwh", "kind", "year", "valid_from", "source", "is_estimated", "is_simulated",
    ]  # fmt: skip
    list_filter = ["kind", "is_simulated", "year"]
    search_fields = ["=zone", "source"]
    ordering = ["zone", "-year", "-valid_from", "pk"]


@admin.register(models.IntensityFeed)
class IntensityFeedAdmin(TickedRows):
    list_display = [
        "zone", "provider", "refresh_minutes", "stale_after_minutes", "latest", "attempted_at", "problem_kind",
    ]  # fmt: skip
    list_filter = ["provider"]
    list_select_related = ["latest"]
    readonly_fields = ["latest", "attempted_at", "problem_kind", "problem"]


@admin.register(models.Category)
class CategoryAdmin(TickedRows):
    list_display = ["name", "title"]


@admin.register(models.Dataset)
class DatasetAdmin(TickedRows):
    list_display = ["name", "licence", "source_url", "imported_at"]


@admin.register(models.Prompt)
class PromptAdmin(TickedRows):
    show_full_result_count = False
    list_display = ["external_id", "dataset", "category", "position", "role"]
    list_filter = ["dataset", "category", "role"]
    list_select_related = ["dataset", "category"]
    search_fields = ["external_id", "item_text"]


@admin.register(models.LanguageModel)
class LanguageModelAdmin(TickedRows):
    list_display = ["name", "purpose", "parameter_size", "quantization", "context_length", "added_at"]
    list_filter = ["purpose"]


@admin.register(models.InferenceServer)
class InferenceServerAdmin(TickedRows):
    list_display = ["name", "kind", "base_url", "machine"]
    list_select_related = ["machine"]


@admin.register(models.Deployment)
class DeploymentAdmin(TickedRows):
    list_display = ["language_model", "server", "state", "state_changed_at"]
    list_filter = ["state", "server"]
    list_select_related = ["language_model", "server"]


class ParameterSetInline(admin.TabularInline[models.ParameterSet, models.Study]):
    model = models.ParameterSet
    extra = 0
    can_delete = False


@admin.register(models.Study)
class StudyAdmin(TickedRows):
    list_display = ["name", "kind", "state", "machine", "started_at", "finished_at"]
    list_filter = ["kind", "state"]
    list_select_related = ["machine"]
    readonly_fields = ["state", "machine_snapshot", "started_at", "finished_at", "created_by"]
    inlines = [ParameterSetInline]


class ResponseAttemptInline(admin.TabularInline[models.ResponseAttempt, models.Response]):
    model = models.ResponseAttempt
    extra = 0
    can_delete = False
    readonly_fields = [
        "number", "outcome", "error_kind", "error", "worker", "cooldown_s", "start_temperature_c", "cooldown_note",
        "started_at", "ended_at",
    ]  # fmt: skip


@admin.register(models.Response)
class ResponseAdmin(ReadOnlyAdmin):
    list_display = ["id", "study", "deployment", "prompt", "state", "output_token_count", "finished_at"]
    list_filter = ["study", "state"]
    list_select_related = ["study", "deployment__language_model", "deployment__server", "prompt"]
    inlines = [ResponseAttemptInline]


class ChannelReadingInline(admin.TabularInline[models.ChannelReading, models.Measurement]):
    model = models.ChannelReading
    extra = 0
    can_delete = False


@admin.register(models.Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = ["id", "purpose", "machine", "energy_j", "sci_gco2e", "quality", "boundary"]
    list_filter = ["purpose", "quality"]
    list_select_related = ["machine"]
    inlines = [ChannelReadingInline]


@admin.register(models.Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    list_display = ["id", "machine", "made_at", "idle_power_mw", "overhead_of_span", "cooldown_s", "quality"]
    list_filter = ["machine"]
    list_select_related = ["machine"]


@admin.register(models.ModelEvaluation)
class ModelEvaluationAdmin(ReadOnlyAdmin):
    list_display = ["id", "deployment", "step", "study", "requested_at", "problem"]
    list_filter = ["step"]
    list_select_related = ["deployment__language_model", "deployment__server", "study"]


@admin.register(models.EnergyTrace)
class EnergyTraceAdmin(ReadOnlyAdmin):
    list_display = ["id", "measurement", "channel", "sample_count", "period_ns", "window_ns"]
    exclude = ["packed_samples", "offsets", "values"]


admin.site.register([models.ParameterSet, models.StudyDeployment, models.StudyPrompt])
admin.site.register([models.ResponseAttempt, models.ChannelReading], ReadOnlyAdmin)
