#!/usr/bin/env python
"""Run a GreenLLM command; `manage.py help` lists them."""

import os
import sys

from greenllm.readers_end import ending_with_reader


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    from greenllm.acts.shell import NotingUtility

    with ending_with_reader():
        NotingUtility(sys.argv).execute()


if __name__ == "__main__":
    main()
