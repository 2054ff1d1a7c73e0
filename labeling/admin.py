from django.contrib import admin
from django.http import HttpRequest

from benchmarks.admin import ReadOnlyAdmin, TickedRows
from labeling import models


@admin.register(models.Guideline)
class GuidelineAdmin(TickedRows):
    list_display = ["category", "version", "created_at"]
    list_select_related = ["category"]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Guideline | None = None) -> list[str]:
        """Keep a version that labels point to as their judges read it; a new text is a new version."""
        return ["category", "version", "text"] if obj is not None and obj.labels.exists() else []


@admin.register(models.Grade)
class GradeAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "grader", "grader_version", "verdict", "score", "reason"]
    list_filter = ["grader", "verdict"]
    list_select_related = ["response"]


@admin.register(models.Label)
class LabelAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "verdict", "source", "kind", "labeler", "is_current", "created_at"]
    list_filter = ["source", "kind", "verdict", "is_current"]
    list_select_related = ["response", "labeler"]


@admin.register(models.Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "kind", "slot", "annotator", "claimed_at", "expires_at"]
    list_select_related = ["response", "annotator"]


@admin.register(models.Skip)
class SkipAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "annotator", "skipped_at"]
    list_select_related = ["response", "annotator"]


@admin.register(models.Annotator)
class AnnotatorAdmin(ReadOnlyAdmin):
    list_display = ["id", "person", "order_seed", "keys_on", "reference_shown"]
    list_select_related = ["person"]


@admin.register(models.JudgementRule)
class JudgementRuleAdmin(ReadOnlyAdmin):
    list_display = ["id", "category", "judgements", "share", "max_readers", "made_by", "created_at"]
    list_select_related = ["category", "made_by"]


@admin.register(models.GoldAnswer)
class GoldAnswerAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "verdict", "reason", "set_by", "created_at", "retired_at"]
    list_select_related = ["response", "set_by"]


@admin.register(models.EvidenceLook)
class EvidenceLookAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "person", "seen_at"]
    list_select_related = ["response", "person"]


@admin.register(models.Flag)
class FlagAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "person", "reason", "created_at", "resolution", "resolved_by"]
    list_filter = ["resolution"]
    list_select_related = ["response", "person", "resolved_by"]


@admin.register(models.CampaignNotice)
class CampaignNoticeAdmin(ReadOnlyAdmin):
    list_display = ["id", "study", "kind", "noticed_at", "latest_label_at", "over_at", "mailed_at"]
    list_filter = ["kind"]
    list_select_related = ["study"]


@admin.register(models.Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "annotator",
        "guideline",
        "study",
        "category",
        "label_count",
        "made_by",
        "created_at",
        "undone_at",
    ]
    list_select_related = ["annotator", "guideline__category", "study", "category", "made_by"]


@admin.register(models.QueueOrder)
class QueueOrderAdmin(ReadOnlyAdmin):
    list_display = ["id", "made_at", "label_count", "waiting_count", "worthwhile_count", "live_count"]
