"""Renew the third-party front-end files under greenllm/static/vendor: unmodified, each with its licence and SHA-256.

Needs npm. `python tools/vendor.py` fetches the pinned packages and writes MANIFEST.json; a test compares the hashes.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "greenllm" / "static" / "vendor"
# package and version -> (folder, {path in the package: file name here})
PACKAGES = {
    "plotly.js-basic-dist-min@4.1.1": (
        "plotly",
        {"package/plotly-basic.min.js": "plotly-basic.min.js", "package/LICENSE": "LICENSE"},
    ),
    "plotly.js@4.1.1": ("plotly", {"package/dist/plotly.css": "plotly.css"}),
}


def main():
    manifest = {}
    for package, (folder, files) in PACKAGES.items():
        with tempfile.TemporaryDirectory() as temporary:
            packed = subprocess.check_output(["npm", "pack", "-s", package], cwd=temporary, text=True)
            with tarfile.open(Path(temporary) / packed.split()[-1]) as archive:
                for member, name in files.items():
                    content = archive.extractfile(member).read()
                    (TARGET / folder).mkdir(parents=True, exist_ok=True)
                    (TARGET / folder / name).write_bytes(content)
                    digest = hashlib.sha256(content).hexdigest()
                    manifest["%s/%s" % (folder, name)] = {"package": package, "member": member, "sha256": digest}
    (TARGET / "MANIFEST.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    print("%d files in %s" % (len(manifest), TARGET))


if __name__ == "__main__":
    main()
