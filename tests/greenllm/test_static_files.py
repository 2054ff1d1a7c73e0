"""Static files are served as safely as pages."""

import pytest
from django.test import Client, override_settings
from django.urls import reverse

FILE = "/static/greenllm/icon.svg"
NAMES = (
    "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Strict-Transport-Security",
)  # fmt: skip


def policy(text: str) -> set[str]:
    return {part.strip() for part in text.split(";")}


@pytest.mark.django_db
@pytest.mark.parametrize("is_https", [True, False])
def test_a_file_has_what_a_page_has(is_https: bool) -> None:
    seconds = 31_536_000 if is_https else 0
    with override_settings(
        SERVESTATIC_USE_FINDERS=True,
        SECURE_HSTS_SECONDS=seconds,
        SECURE_HSTS_INCLUDE_SUBDOMAINS=is_https,
        SECURE_HSTS_PRELOAD=is_https,
    ):
        client = Client()
        page = client.get(reverse("account:sign-in"), secure=is_https)
        file = client.get(FILE, secure=is_https)
    assert (page.status_code, file.status_code) == (200, 200)
    assert [file.headers.get(name) for name in NAMES] == [page.headers.get(name) for name in NAMES]
    assert (page.headers.get("Strict-Transport-Security") is not None) == is_https
    assert policy(file.headers["Content-Security-Policy"]) == policy(page.headers["Content-Security-Policy"])


def test_a_file_is_led_to_https_as_a_page_is() -> None:
    with override_settings(SERVESTATIC_USE_FINDERS=True, SECURE_SSL_REDIRECT=True):
        client = Client()
        by_http = client.get(FILE)
        by_https = client.get(FILE, secure=True)
    assert (by_http.status_code, by_http["Location"]) == (301, f"https://testserver{FILE}")
    assert by_https.status_code == 200
