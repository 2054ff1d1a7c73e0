"""How many requests and tokens a key may use a minute, as a bucket that fills steadily; and how a client is told. Pure.

A bucket holds a minute's worth and fills at that rate. A request takes one of the one bucket, and of the other the
tokens that it may use: its prompt, at four characters each, and the longest answer that it asks for. When it has ended
that is set right, so that the bucket may be in debt, which the next requests wait for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from router.terms import Terms
from router.wires.fields import WireError

SECONDS_PER_MINUTE = 60
_CHARACTERS_PER_TOKEN = 4

# one call does all of it, by the clock of the store: several web processes count together
# KEYS: the bucket. ARGV: requests a minute, tokens a minute (0: no limit), requests wanted, tokens, 1 where refusable
SCRIPT = """
local rates = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local wanted = {tonumber(ARGV[3]), tonumber(ARGV[4])}
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'requests', 'tokens', 'at')
local passed = math.max(0, now - (tonumber(kept[3]) or now))
local levels, is_open, longest = {0, 0}, true, 0
for i = 1, 2 do
  if rates[i] > 0 then
    levels[i] = math.min(rates[i], (tonumber(kept[i]) or rates[i]) + passed * rates[i] / 60)
    if levels[i] < math.min(wanted[i], rates[i]) then is_open = false end
  end
end
if ARGV[5] == '0' then is_open = true end
for i = 1, 2 do
  if rates[i] > 0 then
    if is_open then levels[i] = math.min(rates[i], levels[i] - wanted[i]) end
    longest = math.max(longest, (rates[i] - levels[i]) * 60 / rates[i])
  end
end
redis.call('HSET', KEYS[1], 'requests', tostring(levels[1]), 'tokens', tostring(levels[2]), 'at', tostring(now))
redis.call('EXPIRE', KEYS[1], math.ceil(longest) + 60)
return {is_open and 1 or 0, tostring(levels[1]), tostring(levels[2])}
"""


@dataclass(frozen=True)
class Want:
    """What a request takes of the buckets."""

    requests: int
    tokens: int


@dataclass(frozen=True)
class Taken:
    """How the buckets of a key stand after a request, and whether it may pass."""

    terms: Terms
    want: Want
    is_open: bool
    requests_left: float
    tokens_left: float

    @property
    def headers(self) -> dict[str, str]:
        """Return what OpenAI's clients read, of each limit that the key has."""
        told = {}
        for name, limit, left in self._limits():
            told[f"x-ratelimit-limit-{name}"] = str(limit)
            told[f"x-ratelimit-remaining-{name}"] = str(_whole(left))
            told[f"x-ratelimit-reset-{name}"] = duration((limit - left) * SECONDS_PER_MINUTE / limit)
        return told

    @property
    def left(self) -> dict[str, int | None]:
        """Return how many requests and tokens are left; None where there is no limit."""
        told: dict[str, int | None] = dict.fromkeys(("requests", "tokens"))
        return {**told, **{name: _whole(left) for name, _, left in self._limits()}}

    def refusal(self) -> "RateLimited":
        """Return the error that names the limit that is reached, and when to come again."""
        waits = {
            name: (min(wanted, limit) - left) * SECONDS_PER_MINUTE / limit
            for (name, limit, left), wanted in zip(self._limits(), self._wanted(), strict=True)
        }
        name = max(waits, key=lambda one: waits[one])
        limit = {name: limit for name, limit, _ in self._limits()}[name]
        return RateLimited(name=name, limit=limit, wait_s=max(waits[name], 0.001), headers=self.headers)

    def _limits(self) -> list[tuple[str, int, float]]:
        limits = [
            ("requests", self.terms.requests_per_minute, self.requests_left),
            ("tokens", self.terms.tokens_per_minute, self.tokens_left),
        ]
        return [(name, limit, left) for name, limit, left in limits if limit is not None]

    def _wanted(self) -> list[int]:
        return ([self.want.requests] if self.terms.requests_per_minute is not None else []) + (
            [self.want.tokens] if self.terms.tokens_per_minute is not None else []
        )


class RateLimited(WireError):
    """A key has used up what it may use a minute; another try is worth it after `wait_s`."""

    is_retryable = True

    def __init__(self, *, name: str, limit: int, wait_s: float, headers: dict[str, str]) -> None:
        super().__init__(
            f"This key may use {limit} {name} a minute, and that limit is reached. Ask again in "
            f"{duration(wait_s)}, or have an admin raise the limit of the key.",
            status=429,
            kind="rate_limit_error",
            code="rate_limit_exceeded",
        )
        self.retry_after_s = math.ceil(wait_s)
        self.headers = {**headers, "retry-after-ms": str(math.ceil(wait_s * 1000))}


def _whole(left: float) -> int:
    return max(0, math.floor(left))


def bucket_of(terms: Terms) -> str:
    """Return the name under which the store keeps the buckets of a key."""
    return f"greenllm:rates:{terms.key_id}"


def arguments(terms: Terms, want: Want, *, is_refusable: bool) -> list[int]:
    """Return what the script is called with."""
    rates = [terms.requests_per_minute or 0, terms.tokens_per_minute or 0]
    return [*rates, want.requests, want.tokens, int(is_refusable)]


def taken(terms: Terms, want: Want, told: Sequence[int | bytes]) -> Taken:
    """Return what the script told."""
    is_open, requests, tokens = told
    return Taken(terms, want, bool(int(is_open)), float(requests), float(tokens))


def tokens_wanted(characters: int, longest_answer: int | None) -> int:
    """Return how many tokens a request may use, as far as it tells."""
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + (longest_answer or 0)


def duration(seconds: float) -> str:
    """Return a span of time as OpenAI writes it: 120ms, 1s, 6m0s, 1h0m0s; never shorter than it is."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
