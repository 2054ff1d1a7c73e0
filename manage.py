#!/usr/bin/env python
"""Run a GreenLLM command; `manage.py help` lists them."""

import os
import sys

from greenllm.readers_end import ending_with_reader


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    from django.core.management import execute_from_command_line

    with ending_with_reader():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
