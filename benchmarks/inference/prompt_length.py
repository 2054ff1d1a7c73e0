"""Tell a prompt that does not fit from one that does, where the server keeps silent about it.

Ollama cuts a prompt that is longer than the context and answers what is left. Two signs give it away: fewer
tokens were read than the prompt has words, or the context was filled to its last token. What stays hidden is
a conversation of which an old server dropped some early turns without either sign; servers that know
`truncate` refuse those.
"""

import re
from collections.abc import Sequence

from benchmarks.inference.base import ChatMessage
from benchmarks.inference.errors import PromptTooLong

# Ollama and llama.cpp; vLLM and OpenAI; LM Studio; llama.cpp embedding a text longer than its batch; our own server.
_REFUSED_AS_TOO_LONG = re.compile(
    r"exceed\w*\s.*\bcontext|maximum context length is \d+ tokens|context \w*\s?overflows"
    r"|input \(\d+ tokens\) is too large|tokens and the context only \d+",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"context (?:length (?:is|of only)|only) (\d+)(?: tokens)?", re.IGNORECASE)
_PROMPT_PART = re.compile(r"(\d+) in the (?:messages|prompt)\b")  # of a total that holds the answer's tokens too
_TOKEN_COUNT = re.compile(r"(\d+) (?:input )?tokens?\b")


def fewest_tokens(messages: Sequence[ChatMessage]) -> int:
    """Count the words between white space: the tokenizers in use never join two of them into one token."""
    return sum(len(message.content.split()) for message in messages)


def usable_context(num_ctx: int | None, context_length: int | None) -> int | None:
    """Give the context that a request really gets, in tokens, or None when nobody can tell.

    A server lowers `num_ctx` to the length the model was trained for. Without `num_ctx` its own default
    counts, which it does not report, so that only the model's length is a sure limit.
    """
    known = [limit for limit in (num_ctx, context_length) if limit is not None]
    return min(known, default=None)


def require_words_fit(messages: Sequence[ChatMessage], context: int | None) -> None:
    """Refuse, before anything is sent, a prompt that has more words than the context has tokens.

    Raises `PromptTooLong` with the number of words, a lower bound of its tokens.
    """
    words = fewest_tokens(messages)
    if context is not None and words > context:
        raise PromptTooLong(
            prompt_token_count=words,
            context_length=context,
            reason=f"it has {words} words and the context holds {context} tokens; nothing was sent",
        )


def require_whole_prompt_read(
    messages: Sequence[ChatMessage], prompt_token_count: int | None, context: int | None
) -> None:
    """Refuse an answer whose prompt was cut, by the number of prompt tokens the server says it read.

    Raises `PromptTooLong` with the tokens that were left of the prompt.
    """
    if prompt_token_count is None:
        return
    words = fewest_tokens(messages)
    if prompt_token_count < words:
        reason = f"the server read {prompt_token_count} tokens of a prompt of {words} words, so it cut the prompt"
    elif context is not None and prompt_token_count >= context:
        reason = f"the server filled the context of {context} tokens with it, so it cut the prompt or has no room"
    else:
        return
    raise PromptTooLong(prompt_token_count=prompt_token_count, context_length=context, reason=reason)


def too_long_by_message(message: str, *, context: int | None, status: int | None) -> PromptTooLong | None:
    """Recognise a server's refusal of a long prompt by its words, with the token count where it names one."""
    if not _REFUSED_AS_TOO_LONG.search(message):
        return None
    limit = _LIMIT.search(message)
    counted = _PROMPT_PART.search(message) or _TOKEN_COUNT.search(_LIMIT.sub("", message))
    return PromptTooLong(
        prompt_token_count=int(counted[1]) if counted else None,
        context_length=int(limit[1]) if limit else context,
        reason=f"the server says '{message}'",
        status=status,
    )
