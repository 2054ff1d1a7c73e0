from django.contrib import admin

from benchmarks.admin import ReadOnlyAdmin
from labeling import models


@admin.register(models.Guideline)
class GuidelineAdmin(admin.ModelAdmin[models.Guideline]):
    list_display = ["category", "version", "created_at"]
    list_select_related = ["category"]


@admin.register(models.Grade)
class GradeAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "grader", "grader_version", "verdict", "score", "reason"]
    list_filter = ["grader", "verdict"]
    list_select_related = ["response"]


@admin.register(models.Label)
class LabelAdmin(ReadOnlyAdmin):
    list_display = ["id", "response", "verdict", "source", "labeler", "is_current", "created_at"]
    list_filter = ["source", "verdict", "is_current"]
    list_select_related = ["response", "labeler"]
