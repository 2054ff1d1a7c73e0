"""Tell Postgres at once what a large import has put into its tables.

Postgres looks by itself about once a minute. Until then it plans as if the tables were as small as before, and a query
over 50,000 new answers that should take a second may take hours.
"""

from django.db import connection
from django.db.models import Model


def tell_planner(*models: type[Model]) -> None:
    """Have Postgres sample the tables of models; within a transaction it sees the rows of that as well."""
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
