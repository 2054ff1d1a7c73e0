"""Graders' labels now count only in categories whose own rule says so: switch it on where they counted until now.

These labels were accepted by somebody before there was a switch to obey. A general rule that let graders label becomes
a rule of each category that has none.
"""

from django.db import migrations


def switch_on_where_graders_labeled(apps, schema_editor):
    Category = apps.get_model("benchmarks", "Category")
    Label = apps.get_model("labeling", "Label")
    JudgementRule = apps.get_model("labeling", "JudgementRule")
    labeled = set(
        Label.objects.filter(source="grader", is_current=True, voided_at__isnull=True)
        .values_list("response__prompt__category_id", flat=True)
        .distinct()
    )
    latest = {rule.category_id: rule for rule in JudgementRule.objects.order_by("pk")}
    general = latest.get(None)
    for category in Category.objects.order_by("pk"):
        own = latest.get(category.pk)
        by_general = own is None and general is not None and general.grades_count
        if not (by_general or category.pk in labeled) or (own is not None and own.grades_count):
            continue
        base = own or general or JudgementRule()
        JudgementRule.objects.create(
            category=category,
            judgements=base.judgements,
            share=base.share,
            max_readers=base.max_readers,
            evidence=base.evidence,
            grades_count=True,
        )


class Migration(migrations.Migration):

    dependencies = [
        ("labeling", "0007_corrections"),
    ]

    operations = [
        # back again the rules stay: they say what was in force, and nothing obeyed them before
        migrations.RunPython(switch_on_where_graders_labeled, migrations.RunPython.noop),
    ]
