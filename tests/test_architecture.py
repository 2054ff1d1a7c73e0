"""The rules of the house: docs/architecture.md says why."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
APPS_IN_ORDER = ("benchmarks", "labeling", "router", "greenllm")
PRODUCT = [
    path for app in APPS_IN_ORDER for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts
]
PURE = [
    ROOT / name
    for name in (
        "benchmarks/units.py",
        "benchmarks/sci.py",
        "benchmarks/curve_errors.py",
        "benchmarks/energy.py",
        "benchmarks/traces.py",
        "benchmarks/intervals.py",
        "benchmarks/paired.py",
        "benchmarks/products.py",
        "benchmarks/rank_agreement.py",
        "benchmarks/published_study.py",
        "benchmarks/boundary.py",
        "benchmarks/spread.py",
        "benchmarks/spreadsheets.py",
        "benchmarks/cooldown.py",
        "benchmarks/calibration.py",
        "benchmarks/uncertainty.py",
        "benchmarks/bundling/archive.py",
        "labeling/word_diff.py",
        "labeling/keys.py",
        "labeling/agreement.py",
        "router/policy.py",
        "router/vectors.py",
        "router/wire.py",
        "router/wire_chunks.py",
        *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "router/wires").glob("*.py"))),
        "greenllm/dashboards/figures.py",
        "greenllm/dashboards/sheets.py",
        "greenllm/reports/cells.py",
        "greenllm/reports/grids.py",
        "greenllm/reports/svg.py",
        "greenllm/studies/sweep_figures.py",
        "greenllm/studies/spread_figures.py",
    )
]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


class TestImports:
    def test_obey_every_contract(self) -> None:
        run = subprocess.run(
            [
                sys.executable,
                "-c",
                "from importlinter.cli import lint_imports_command; lint_imports_command()",
                "--no-cache",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def test_leave_for_later_what_takes_long(self) -> None:
        """Commands start quickly: `check` reads every page, and the rest is what a web process or a worker adds."""
        code = (
            "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'greenllm.settings'; django.setup(); "
            "from django.core.management import call_command; call_command('check'); "
            "import router.index, router.wiring, router.api.openai, greenllm.dashboards.views; "
            "sys.exit(', '.join({'chromadb', 'scipy.stats', 'sklearn', 'plotly'} & set(sys.modules)) or None)"
        )
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


class TestForeignKeys:
    @pytest.mark.parametrize("app", APPS_IN_ORDER[:-1])
    def test_point_only_to_earlier_apps(self, app: str) -> None:
        allowed = set(APPS_IN_ORDER[: APPS_IN_ORDER.index(app) + 1])
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.get_fields():
                if field.is_relation and field.concrete and field.related_model is not None:
                    target = field.related_model._meta
                    is_person = target.label == "greenllm.User"  # named by settings.AUTH_USER_MODEL, as Django has it
                    assert target.app_label in allowed or is_person, f"{model.__name__}.{field.name} -> {target.label}"


class TestPureModules:
    @pytest.mark.parametrize("path", PURE, ids=short)
    def test_know_no_django_clock_or_network(self, path: Path) -> None:
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
        assert not imported & {"django", "time", "datetime", "socket", "httpx", "requests", "serial", "psutil", "os"}

    @pytest.mark.parametrize("path", PURE, ids=short)
    def test_describe_every_public_function(self, path: Path) -> None:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{short(path)}: {node.name}"


class TestModules:
    @pytest.mark.parametrize("path", PRODUCT, ids=short)
    def test_stay_short(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf8").splitlines()) <= 400

    @pytest.mark.parametrize("path", PRODUCT, ids=short)
    def test_leave_nothing_undone(self, path: Path) -> None:
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", path.read_text(encoding="utf8"))

    def test_have_names_that_say_something(self) -> None:
        vague = {"utils", "helpers", "manager", "common", "data", "misc"}
        assert not [short(path) for path in PRODUCT if path.stem in vague]


class TestTemplates:
    @pytest.mark.parametrize("path", TEMPLATES, ids=short)
    def test_hold_no_inline_script_or_style(self, path: Path) -> None:
        text = path.read_text(encoding="utf8")
        assert not re.search(r"<style|\sstyle=\"|\son[a-z]+=\"|javascript:", text)
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
        assert not re.search(r"(src|href)=\"https?://", text)


class TestDecisions:
    def test_name_every_package(self) -> None:
        said = (ROOT / "docs" / "decisions.md").read_text(encoding="utf8").lower()
        lines = [
            line
            for name in (
                "requirements.txt",
                "requirements-models.txt",
                "requirements-dev.txt",
                "requirements-supply.txt",
            )
            for line in (ROOT / name).read_text(encoding="utf8").splitlines()
        ]
        packages = [re.split(r"[\[=<>~; ]", line, maxsplit=1)[0] for line in lines if re.match(r"[A-Za-z]", line)]
        assert packages
        assert not [package for package in packages if f"`{package.lower()}" not in said]

    def test_pin_every_package(self) -> None:
        for name in ("requirements.txt", "requirements-models.txt", "requirements-dev.txt", "requirements-supply.txt"):
            for line in (ROOT / name).read_text(encoding="utf8").splitlines():
                assert not re.match(r"[A-Za-z]", line) or "==" in line, f"{name}: {line}"


class TestDocuments:
    def test_tell_of_every_setting(self) -> None:
        source = (ROOT / "greenllm" / "settings.py").read_text(encoding="utf8")
        names = re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source)
        said = (ROOT / "docs" / "settings.md").read_text(encoding="utf8")
        assert names
        assert not [name for name in names if f"`{name}`" not in said]

    def test_tell_of_every_command(self) -> None:
        commands = {
            path.stem for app in APPS_IN_ORDER for path in (ROOT / app / "management" / "commands").glob("[a-z]*.py")
        }
        said = (ROOT / "docs" / "commands.md").read_text(encoding="utf8")
        assert commands
        assert not [command for command in commands if f"`{command}" not in said]
