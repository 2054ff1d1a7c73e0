"""Prompts as chat clients send them on their own: each has the phrases of its client's default, and filling between."""

from benchmarks.inference.base import ChatMessage
from router.background import BackgroundTask

_HISTORY = "### Chat History:\n<chat_history>\nUSER: How do I bake bread?\nASSISTANT: With flour.\n</chat_history>"


def _open_webui(opening: str, key: str) -> str:
    return f'### Task:\n{opening}\n\n### Output:\nJSON format: {{ "{key}": "x" }}\n\n{_HISTORY}'


def user(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage("user", text),)


def instructed(system: str, text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage("system", system), ChatMessage("user", text))


TITLE = _open_webui("Generate a concise title summarizing the chat history.", "title")
_OLDER = "Create a concise, 3-5 word title with an emoji as a title for {} RESPOND ONLY WITH THE TITLE TEXT.\n\n"
_FACE = (
    "Your task is to reflect the speaker's likely facial expression through a fitting emoji. Interpret emotions from "
    "it.\n\nMessage: "
)

PROMPTS: dict[str, tuple[BackgroundTask, tuple[ChatMessage, ...]]] = {
    "open-webui title": (BackgroundTask.TITLE, user(TITLE)),
    "open-webui title with a system prompt": (BackgroundTask.TITLE, instructed("Be kind.", TITLE)),
    "open-webui title, Windows lines": (BackgroundTask.TITLE, user(TITLE.replace("\n", "\r\n") + "\r\n")),
    "open-webui title with an emoji": (
        BackgroundTask.TITLE,
        user(_open_webui("Generate a concise, 3-5 word title with an emoji summarizing the chat history.", "title")),
    ),
    "open-webui title of 0.4": (
        BackgroundTask.TITLE,
        user(_OLDER.format("the chat history, in the given language.") + "Examples of titles:\nA\n\n" + _HISTORY[18:]),
    ),
    "open-webui title of 0.3": (
        BackgroundTask.TITLE,
        user(_OLDER.format("the prompt in the given language.") + "Examples of titles:\nBread\n\nPrompt: bake bread?"),
    ),
    "open-webui tags": (
        BackgroundTask.TAGS,
        user(_open_webui("Generate 1-3 broad tags categorizing the main themes of the chat history.", "tags")),
    ),
    "open-webui follow-ups": (
        BackgroundTask.FOLLOW_UPS,
        user(
            _open_webui(
                "Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.",
                "follow_ups",
            )
        ),
    ),
    "open-webui search queries": (
        BackgroundTask.SEARCH_QUERIES,
        user(
            _open_webui("Analyze the chat history to determine the necessity of generating search queries.", "queries")
        ),
    ),
    "open-webui search query of 0.3": (
        BackgroundTask.SEARCH_QUERIES,
        user(
            "Assess the need for a web search based on the current question and prior interactions, and so on. Today's "
            "date is 2024-09-01.\n\nCurrent Question:\nbread?\n\nInteraction History:\nUSER: bread?"
        ),
    ),
    "open-webui autocomplete": (
        BackgroundTask.AUTOCOMPLETE,
        user(
            "### Task:\nYou are an autocompletion system. Continue the text in `<text>` as `<type>` says.\n---\n"
            "### Context:\n<chat_history>\nUSER: bread?\n</chat_history>\n<type>General</type>\n"
            "<text>How long does</text>\n#### Output:\n"
        ),
    ),
    "open-webui emoji": (BackgroundTask.EMOJI, user(f"{_FACE}```It rose!```")),
    "open-webui emoji of 0.3": (BackgroundTask.EMOJI, user(f'{_FACE}"""It rose!"""')),
    "librechat title": (
        BackgroundTask.TITLE,
        user(
            "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. Only return "
            "the title itself.\n\nConversation:\nUser: bread?\nAI: With flour."
        ),
    ),
    "librechat title with its language": (
        BackgroundTask.TITLE,
        user(
            "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title "
            "in the detected language (5 words or less, no punctuation or quotation)\n\nUser: bread?\nAI: With flour."
        ),
    ),
    "librechat title of before": (
        BackgroundTask.TITLE,
        user(
            "Detect user language and write in the same language an extremely concise title for this conversation, and "
            'so on.\n\n||>User:\n"bread?"\n||>Response:\n"With flour."\n\n||>Title:'
        ),
    ),
    "continue title": (
        BackgroundTask.TITLE,
        user(
            "Given the following... please reply with a title for the chat that is 3-4 words in length, all words used "
            "should be directly related to the content of the chat, and so on, no additional text or explanation, you "
            "don't need ending punctuation.\n\nWith flour."
        ),
    ),
    "chatbox title": (
        BackgroundTask.TITLE,
        user(
            "Based on the chat history, give this conversation a name.\nKeep it short - 10 words max, no quotes.\nUse "
            "English.\nJust provide the name, nothing else.\n\n```\nuser: bread?\n```\n\nName this conversation in 10 "
            "words or less.\n\nThe name is:"
        ),
    ),
    "huggingchat title": (
        BackgroundTask.TITLE,
        instructed(
            "You are a chat thread titling assistant.\nGoal: Produce a very short, descriptive title of the topic.\n\n"
            "Rules:\n- Never include meta-words: Title.\n\nReturn only the title text.",
            'User message: "bread?"',
        ),
    ),
    "goose session name": (
        BackgroundTask.TITLE,
        instructed(
            "Generate a short title (four words or less) that describes the topic of the user's messages. \nReply with "
            "only the title, nothing else.",
            "---BEGIN USER MESSAGES---\nbread?\n---END USER MESSAGES---\n\n"
            "Generate a short title for the above messages.",
        ),
    ),
    "cherry studio title": (
        BackgroundTask.TITLE,
        instructed(
            "You are an assistant skilled in conversation. You need to summarize the user's conversation into a title "
            "within 10 words. Keep its language. Do not use punctuation marks or other special symbols",
            '[{"role": "user", "content": "bread?"}]',
        ),
    ),
    "deepchat title": (
        BackgroundTask.TITLE,
        instructed(
            "You need to summarize the user's conversation into a title of no more than 10 words, with the title "
            "language matching the user's primary language, without using punctuation or other special symbols",
            "user: bread?\nassistant: With flour.",
        ),
    ),
    "nextchat title": (
        BackgroundTask.TITLE,
        (
            *user("bread?"),
            ChatMessage("assistant", "With flour."),
            *user(
                "Please generate a four to five word title summarizing our conversation without any lead-in, "
                "punctuation, quotation marks, periods, symbols, bold text, or additional text. Remove enclosing "
                "quotation marks."
            ),
        ),
    ),
}  # fmt: skip
