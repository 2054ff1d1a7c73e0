"""The third-party front-end files are the ones that were fetched, each beside its licence."""

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "greenllm" / "static" / "vendor"


class TestVendoredFiles:
    def test_are_unmodified(self) -> None:
        manifest = json.loads((VENDOR / "MANIFEST.json").read_text(encoding="utf8"))
        found = {
            str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in VENDOR.rglob("*")
            if path.is_file() and path.name != "MANIFEST.json"
        }
        assert found == {name: entry["sha256"] for name, entry in manifest.items()}

    def test_have_their_licence_beside_them(self) -> None:
        assert all((folder / "LICENSE").exists() for folder in VENDOR.iterdir() if folder.is_dir())
