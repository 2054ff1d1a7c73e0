"""Write the title of the category sql in capitals where it was made by capitalizing its name; a title of one's own stays."""

from django.db import migrations

TITLE = "UPDATE benchmarks_category SET title = 'SQL' WHERE name = 'sql' AND title = 'Sql'"


class Migration(migrations.Migration):
    dependencies = [("greenllm", "0008_acts_of_programs"), ("benchmarks", "0001_catalog_studies_energy")]

    # A title is text for people: going back needs nothing undone.
    operations = [migrations.RunSQL(TITLE, migrations.RunSQL.noop)]
