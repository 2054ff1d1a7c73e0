"""Several commands of `manage.py` in one process, each run as it runs them: loading all modules is most of a short one.

`python -m tests.chain.commands` reads a list of their arguments as JSON, and writes a list of what each printed.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO


def main() -> None:
    """Run them in order; the first that fails ends the process as it would end its own."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    from greenllm.acts.shell import NotingUtility

    told = []
    for arguments in json.load(sys.stdin):
        with redirect_stdout(StringIO()) as output:
            NotingUtility(["manage.py", *arguments]).execute()
        told.append(output.getvalue())
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
