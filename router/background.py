"""Recognise the prompts that chat clients send on their own: titles, tags, follow-up questions, search queries. Pure.

Nobody reads those answers as answers, so the cheapest model will do, and they say nothing of what people ask. A shape
names how a prompt begins, what follows in which order, and how it ends: a person who asks for a title, or asks about
such a prompt, writes none of them. Shapes are of the default prompts that the clients publish; whoever changes those
in a client is served as a person is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.inference.base import ChatMessage


class BackgroundTask(StrEnum):
    """What a client wants on its own behalf."""

    TITLE = "title"
    TAGS = "tags"
    FOLLOW_UPS = "follow_ups"
    SEARCH_QUERIES = "search_queries"
    AUTOCOMPLETE = "autocomplete"
    EMOJI = "emoji"

    @property
    def label(self) -> str:
        """Return it in words."""
        return self.value.replace("_", " ")


@dataclass(frozen=True)
class _Shape:
    """How one text of a client is built.

    Args:
        task: what it is for.
        opening: what it begins with.
        marks: what comes after that, in this order.
        ending: what it ends with.
    """

    task: BackgroundTask
    opening: re.Pattern[str]
    marks: tuple[str, ...] = ()
    ending: str = ""

    def fits(self, text: str) -> bool:
        """Tell whether a text, without white space around it, is built like this."""
        begun = self.opening.match(text)
        if begun is None or not text.endswith(self.ending):
            return False
        place = begun.end()
        for mark in self.marks:
            found = text.find(mark, place)
            if found < 0:
                return False
            place = found + len(mark)
        return place <= len(text) - len(self.ending)


def _shape(task: BackgroundTask, opening: str, *marks: str, ending: str = "") -> _Shape:
    return _Shape(task, re.compile(opening), marks, ending)


_Task = BackgroundTask
_HISTORY = ("### Chat History:", "<chat_history>")
_HISTORY_END = "</chat_history>"

# one message of a user
_ALONE = (
    # Open WebUI, of today and of before
    _shape(
        _Task.TITLE,
        r"### Task:\s+Generate a concise(, 3-5 word)? title (with an emoji )?summarizing the chat history\.",
        '"title"', *_HISTORY, ending=_HISTORY_END,
    ),
    _shape(
        _Task.TITLE,
        r"Create a concise, 3-5 word title with an emoji as a title for the chat history, in the given language\.",
        "RESPOND ONLY WITH THE TITLE TEXT.", "Examples of titles:", "<chat_history>", ending=_HISTORY_END,
    ),
    _shape(
        _Task.TITLE,
        r"Create a concise, 3-5 word title with an emoji as a title for the prompt in the given language\.",
        "RESPOND ONLY WITH THE TITLE TEXT.", "Examples of titles:", "\nPrompt: ",
    ),
    _shape(
        _Task.TAGS,
        r"### Task:\s+Generate 1-3 broad tags categorizing the main themes of the chat history",
        '"tags"', *_HISTORY, ending=_HISTORY_END,
    ),
    _shape(
        _Task.FOLLOW_UPS,
        r"### Task:\s+Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next",
        '"follow_ups"', *_HISTORY, ending=_HISTORY_END,
    ),
    _shape(
        _Task.SEARCH_QUERIES,
        r"### Task:\s+Analyze the chat history to determine the necessity of generating search queries",
        '"queries"', *_HISTORY, ending=_HISTORY_END,
    ),
    _shape(
        _Task.SEARCH_QUERIES,
        r"Assess the need for a web search based on the current question and prior interactions",
        "Today's date is", "Current Question:", "Interaction History:",
    ),
    _shape(
        _Task.AUTOCOMPLETE,
        r"### Task:\s+You are an autocompletion system\. Continue the text in `<text>`",
        "### Context:", "<chat_history>", _HISTORY_END, "<type>", "<text>", "</text>", ending="#### Output:",
    ),
    _shape(
        _Task.EMOJI,
        r"Your task is to reflect the speaker's likely facial expression through a fitting emoji\. Interpret emotions",
        "Message: ```", ending="```",
    ),
    _shape(
        _Task.EMOJI,
        r"Your task is to reflect the speaker's likely facial expression through a fitting emoji\. Interpret emotions",
        'Message: """', ending='"""',
    ),
    # LibreChat, of today and of before
    _shape(
        _Task.TITLE,
        r"Provide a concise, 5-word-or-less title for the conversation, using title case conventions\. "
        r"Only return the title itself\.\s+Conversation:\n",
    ),
    _shape(
        _Task.TITLE,
        r"Analyze this conversation and provide:\s+1\. The detected language of the conversation\s+"
        r"2\. A concise title in the detected language \(5 words or less, no punctuation or quotation\)\n",
    ),
    _shape(
        _Task.TITLE,
        r"Detect user language and write in the same language an extremely concise title for this conversation",
        "||>User:", "||>Response:", ending="||>Title:",
    ),
    # Continue
    _shape(
        _Task.TITLE,
        r"Given the following\.\.\. please reply with a title for the chat that is 3-4 words in length, all words used "
        r"should be directly related to the content of the chat",
        "no additional text or explanation, you don't need ending punctuation.\n\n",
    ),
    # Chatbox
    _shape(
        _Task.TITLE,
        r"Based on the chat history, give this conversation a name\.\s+Keep it short - 10 (words|characters) max, no "
        r"quotes\.",
        "Just provide the name, nothing else.", "Name this conversation in 10 ", ending="The name is:",
    ),
)  # fmt: skip

# instructions, and then one message of a user
_INSTRUCTED = (
    # HuggingChat
    (
        _shape(
            _Task.TITLE,
            r"You are a chat thread titling assistant\.\s+Goal: Produce a very short, descriptive title",
            "Never include meta-words:", ending="Return only the title text.",
        ),
        _shape(_Task.TITLE, r'User message: "', ending='"'),
    ),
    # goose
    (
        _shape(
            _Task.TITLE,
            r"Generate a short title \(four words or less\) that describes the topic of the user's messages\.\s+Reply "
            r"with only the title, nothing else\.",
        ),
        _shape(
            _Task.TITLE, r"---BEGIN ", "---END USER MESSAGES---",
            ending="Generate a short title for the above messages.",
        ),
    ),
    # Cherry Studio
    (
        _shape(
            _Task.TITLE,
            r"You are an assistant skilled in conversation\. You need to summarize the user's conversation into a "
            r"title within 10 words\.",
            "Do not use punctuation marks or other special symbols",
        ),
        _shape(_Task.TITLE, r""),
    ),
    # DeepChat
    (
        _shape(
            _Task.TITLE,
            r"You need to summarize the user's conversation into a title of no more than 10 words, with the title "
            r"language matching the user's primary language, without using punctuation or other special symbols$",
        ),
        _shape(_Task.TITLE, r"(user|system): "),
    ),
)  # fmt: skip

# the last message of a conversation
_AFTERWARDS = (
    # NextChat
    _shape(
        _Task.TITLE,
        r"Please generate a four to five word title summarizing our conversation without any lead-in, punctuation, "
        r"quotation marks, periods, symbols,( bold text,)? or additional text\. Remove enclosing quotation marks\.$",
    ),
)


def background_task(messages: Sequence[ChatMessage]) -> BackgroundTask | None:
    """Return what a client wants on its own behalf, or None where a person may have asked."""
    said = [(message.role, message.content.replace("\r\n", "\n").strip()) for message in messages[-3:]]
    roles = [role for role, _ in said]
    if not said or roles[-1] != "user":
        return None
    text, is_whole = said[-1][1], len(said) == len(messages)
    if is_whole and roles in (["user"], ["system", "user"]):
        found = _first(_ALONE, text)
        if found is not None:
            return found
        if len(said) == 2:
            return next((one.task for one, then in _INSTRUCTED if one.fits(said[0][1]) and then.fits(text)), None)
        return None
    return _first(_AFTERWARDS, text) if "assistant" in roles else None


def _first(shapes: Sequence[_Shape], text: str) -> BackgroundTask | None:
    return next((shape.task for shape in shapes if shape.fits(text)), None)
