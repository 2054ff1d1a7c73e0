from django.apps import AppConfig

from benchmarks.reach import reach_of, use


class BenchmarksConfig(AppConfig):
    name = "benchmarks"
    verbose_name = "Benchmarks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the settings say where servers may be."""
        from django.conf import settings

        use(reach_of(settings.SERVER_NETWORKS, settings.TRUSTED_SERVERS))
