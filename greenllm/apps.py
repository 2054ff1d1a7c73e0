from django.apps import AppConfig


class GreenllmConfig(AppConfig):
    name = "greenllm"
    verbose_name = "People and roles"
    default_auto_field = "django.db.models.BigAutoField"
