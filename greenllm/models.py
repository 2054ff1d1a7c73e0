"""People. Roles are groups (`greenllm.roles`); API keys belong to the endpoint (`router.models`)."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """One person, or one client program, that signs in."""
