"""An installation behind HTTPS, in a process of its own: its settings are read when Django starts."""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command

from tests.environment import ROOT

PRODUCTION = {
    "GREENLLM_HTTPS": "yes",
    "ALLOWED_HOSTS": "greenllm.example",
    "CSRF_TRUSTED_ORIGINS": "https://greenllm.example",
    "SECRET_KEY": "".join(chr(33 + number) for number in range(90)).replace("$", ""),
}
SCRIPT = """
import json
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
call_command("check", deploy=True, fail_level="DEBUG")
plain = Client().get("/account/sign-in/", headers={"host": "greenllm.example"})
page = Client().get("/account/sign-in/", secure=True, headers={"host": "greenllm.example"})
proxied = Client().get("/health", headers={"host": "elsewhere.example", "X-Forwarded-Proto": "https"})
cookie = page.cookies["csrftoken"]
print(json.dumps({
    "plain": [plain.status_code, plain.get("Location")],
    "page": page.status_code,
    "elsewhere": proxied.status_code,
    "hsts": page.get("Strict-Transport-Security"),
    "csrf": [cookie["secure"], cookie["samesite"]],
    "session": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE],
}))
"""


@pytest.mark.slow
def test_an_installation_behind_https_has_nothing_that_django_would_warn_of() -> None:
    environment = {**os.environ, **PRODUCTION, "DJANGO_SETTINGS_MODULE": "greenllm.settings"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["plain"] == [301, "https://greenllm.example/account/sign-in/"]
    assert (told["page"], told["elsewhere"]) == (200, 400)
    assert told["hsts"] == "max-age=31536000; includeSubDomains; preload"
    assert told["csrf"] == [True, "Lax"]
    assert told["session"] == [True, True, "Lax"]


def test_the_document_of_security_has_the_table_of_doors_as_it_is() -> None:
    printed = StringIO()
    call_command("doors", stdout=printed)
    told = (ROOT / "docs" / "security.md").read_text(encoding="utf8")
    assert f"<!-- manage.py doors -->\n{printed.getvalue()}<!-- end -->" in told, "put in what manage.py doors prints"
