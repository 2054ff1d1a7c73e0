"""What is recognised as a prompt of a client itself, and that nothing is which a person may have written."""

import csv
from collections.abc import Iterator

import pytest

from benchmarks.inference.base import ChatMessage
from router.background import BackgroundTask, background_task
from tests.benchmarks.outcome_files import TABLES, needs_published_tables
from tests.labeling.shared_data import SHARED, items, needs_shared_data
from tests.router.background_prompts import PROMPTS, TITLE, instructed, user

# what people may write that is close to a client's prompt
NEAR_MISSES = {
    "a person wants a title": "Generate a concise, 3-5 word title for my essay about bread.",
    "in the words of Open WebUI": "### Task:\nGenerate a concise title summarizing the chat history.",
    "with a template of their own": "### Task:\nGenerate a concise title summarizing the chat history.\n### Output:\n"
    'JSON format: { "title": "x" }\n### Text:\nBread rises.',
    "asks about the prompt": f"Why does my chat client send this?\n\n{TITLE}",
    "asks after the prompt": f"{TITLE}\n\nWhat does this prompt do?",
    "quotes the prompt": f"> {TITLE}",
    "asks to better the prompt": "Improve this prompt: Provide a concise, 5-word-or-less title for the conversation, "
    "using title case conventions. Only return the title itself.\n\nConversation:\nUser: a",
    "a title without more": "Provide a concise, 5-word-or-less title for the conversation, using title case "
    "conventions. Only return the title itself.",
    "wants tags": "Generate 1-3 broad tags categorizing the main themes of the chat history below.",
    "wants follow-ups": "Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.",
    "wants queries": "### Task:\nAnalyze the chat history to determine the necessity of generating search queries.",
    "wants completion": "You are an autocompletion system. Continue the text in `<text>`: <text>How long</text>",
    "wants an emoji": "Your task is to reflect the speaker's likely facial expression through a fitting emoji.",
    "a prompt of retrieval": "### Task:\nRespond to the user query using the provided context, incorporating inline "
    "citations.\n\n<context>\nBread.\n</context>\n\n<user_query>\nbread?\n</user_query>",
    "of retrieval, ends like one": "### Task:\nRespond to the user query.\n### Chat History:\n<chat_history>\n"
    "</chat_history>",
    "answers of models": "You have been provided with a set of responses from various models to the latest user "
    'query: "bread?"\n\nResponses from models: a, b',
    "a bare request": "Please generate a four to five word title summarizing our conversation",
    "as the first message": "Please generate a four to five word title summarizing our conversation without any "
    "lead-in, punctuation, quotation marks, periods, symbols, or additional text. Remove enclosing quotation marks.",
    "analyses": "Analyze this conversation and provide:\n1. A summary\n2. A concise title",
    "names a chat": "Based on the chat history, give this conversation a name. Keep it short.",
    "empty": " ",
}


def ways_to_ask(text: str) -> Iterator[tuple[ChatMessage, ...]]:
    """Return conversations in which a person says a text: alone, under instructions, and later on."""
    yield user(text)
    yield instructed("You are a helpful assistant.", text)
    yield (*user("Hello"), ChatMessage("assistant", "Hello!"), *user(text))


@pytest.mark.parametrize("name", PROMPTS)
def test_knows_what_the_clients_send(name: str) -> None:
    task, messages = PROMPTS[name]
    assert background_task(messages) is task


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_leaves_what_a_person_may_write(name: str) -> None:
    first, *later = ways_to_ask(NEAR_MISSES[name])
    assert background_task(first) is None
    if name != "as the first message":
        assert [background_task(one) for one in later] == [None, None]


class TestConversation:
    @pytest.mark.parametrize("name", PROMPTS)
    def test_that_goes_on_after_such_a_prompt_is_a_persons(self, name: str) -> None:
        _, messages = PROMPTS[name]
        assert background_task((*messages, ChatMessage("assistant", "Bread"), *user("Longer, please."))) is None

    def test_in_which_it_comes_later_is_a_persons(self) -> None:
        assert background_task((*user("Hello"), ChatMessage("assistant", "Hello!"), *user(TITLE))) is None

    def test_without_a_word_of_a_user_is_none(self) -> None:
        assert background_task(()) is None
        assert background_task((ChatMessage("system", TITLE),)) is None
        assert background_task((*user(TITLE), ChatMessage("assistant", "Bread"))) is None

    def test_under_the_instructions_alone_of_a_titler_is_a_persons(self) -> None:
        system = PROMPTS["huggingchat title"][1][0].content
        assert background_task(instructed(system, "bread?")) is None


def test_reads_a_long_prompt_in_linear_time() -> None:
    text = TITLE.replace("</chat_history>", '"title" ### Chat History: <chat_history> ' * 100_000)
    assert background_task(user(text)) is None


class TestPeoplesPrompts:
    @needs_shared_data
    @pytest.mark.parametrize("name", sorted(path.stem for path in SHARED.glob("*.jsonl") if "schemas" not in path.stem))
    def test_of_the_data_sets_are_none(self, name: str) -> None:
        texts = [str(item[field]) for item in items(name) for field in ("prompt", "source_text") if item.get(field)]
        assert texts
        assert [text for text in texts if any(background_task(asked) for asked in ways_to_ask(text))] == []

    @needs_published_tables
    @pytest.mark.parametrize("table", sorted(path.parent.name for path in TABLES.glob("*/prompts.csv")))
    def test_of_the_routing_tables_are_none(self, table: str) -> None:
        csv.field_size_limit(2**31 - 1)
        with (TABLES / table / "prompts.csv").open(newline="", encoding="utf8") as file:
            texts = [row["prompt"] for row in csv.DictReader(file)]
        assert texts
        assert [text for text in texts if any(background_task(asked) for asked in ways_to_ask(text))] == []


def test_every_task_has_a_prompt_here() -> None:
    assert {task for task, _ in PROMPTS.values()} == set(BackgroundTask)
