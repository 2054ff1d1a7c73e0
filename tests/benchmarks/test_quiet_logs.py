"""Logs hold no word of people or models, whatever an error quotes, and still tell what went wrong where."""

import io
import logging

import pytest
from django.db import DataError

from benchmarks.federating import ModelNotOffered
from benchmarks.inference.base import PromptTooLong, RefusedForNow, RequestRefused, ServerUnreachable, StreamBroken
from benchmarks.quiet_logs import quiet_words
from tests.planting import PLANTED, log

__all__ = ["log"]

logger = logging.getLogger("tests.quiet")


def fail_deeply() -> None:
    try:
        int(PLANTED)
    except ValueError as error:
        raise KeyError(PLANTED) from error


class TestQuietFormatter:
    def test_tells_kinds_and_places_of_errors_without_their_words(self, log: io.StringIO) -> None:
        try:
            fail_deeply()
        except KeyError:
            logger.exception("job %s failed", 7)

        told = log.getvalue()
        assert PLANTED not in told
        assert "job 7 failed" in told
        assert "builtins.ValueError" in told
        assert "builtins.KeyError" in told
        assert "in fail_deeply" in told

    @pytest.mark.parametrize(
        "error",
        [
            ValueError(PLANTED),
            DataError(f"DETAIL: Failing row contains ({PLANTED})."),
            RequestRefused(f"refused with status 400: {PLANTED}", status=400),
            RefusedForNow(f"refused with status 500: {PLANTED}", status=500),
            StreamBroken(f"the server reported '{PLANTED}'"),
            PromptTooLong(prompt_token_count=None, context_length=5, reason=PLANTED),
            UnicodeDecodeError("utf8", PLANTED.encode(), 0, 1, PLANTED),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_leaves_out_what_an_error_quotes(self, log: io.StringIO, error: Exception) -> None:
        logger.warning("it went wrong: %s", error)
        logger.error("%(what)s", {"what": error})

        assert PLANTED not in log.getvalue()
        assert len(log.getvalue().splitlines()) == 2

    def test_leaves_out_tracebacks_that_a_library_wrote(self, log: io.StringIO) -> None:
        logger.error("job %s\n%s", 7, f"Traceback (most recent call last):\n  x\nValueError: {PLANTED}")

        assert "job 7\n" in log.getvalue()
        assert PLANTED not in log.getvalue()

    def test_tells_our_own_words_and_those_of_the_system(self) -> None:
        assert "Start it" in quiet_words(ServerUnreachable("http://127.0.0.1:1", "no connection"))
        assert quiet_words(ModelNotOffered("the server has: tiny")) == "the server has: tiny"
        assert quiet_words(FileNotFoundError(2, "No such file", PLANTED)) == "FileNotFoundError: No such file"

    def test_tells_all_of_it_at_debug(self, log: io.StringIO) -> None:
        logging.getLogger().setLevel(logging.DEBUG)
        try:
            fail_deeply()
        except KeyError as error:
            logger.exception("again: %s", error)  # noqa: TRY401  both ways in

        assert log.getvalue().count(PLANTED) >= 3
