"""What sound input looks like, a sample of each kind: every field is there, so that each can be spoilt."""

from typing import Any

PROMPT: dict[str, Any] = {
    "id": "a1",
    "prompt": "What is 2 + 2?",
    "item": "2 + 2",
    "reference": "4",
    "category": "math",
    "position": 1,
    "role": "train",
    "checks": {"kind": "number", "answer": "4"},
    "extra": [1, {"a": None}],
}
LABEL: dict[str, Any] = {
    "id": "6f1c9a58-0000-4000-8000-000000000000",
    "response": 5,
    "study": "s",
    "category": "math",
    "prompt": "a1",
    "model": "tiny:1b",
    "server": "lab",
    "parameters": "",
    "repeat": 1,
    "verdict": "correct",
    "score": 0.5,
    "source": "person",
    "kind": "judgement",
    "annotator": "ann",
    "comment": "fine",
    "saw_evidence": True,
    "active_seconds": 3.5,
    "shown_at": "2026-01-31T12:00:00+00:00",
    "created_at": "2026-01-31T12:00:09+00:00",
    "supersedes": None,
    "is_current": True,
    "voided_at": None,
    "void_reason": "",
    "external_id": "",
    "guideline_category": "math",
    "guideline_version": 1,
    "guideline_text": "Be fair.",
    "grade": None,
}
DOCCANO: dict[str, Any] = {
    "id": 3,
    "text": "2 + 2",
    "label": ["correct"],
    "Comments": ["why"],
    "response_id": 5,
    "greenllm": LABEL,
}
TASK: dict[str, Any] = {
    "id": 1,
    "data": {"prompt": "2 + 2", "response": "4", "response_id": 5, "prompt_id": "a1", "model": "tiny:1b"},
    "meta": {"greenllm": {"labels": [LABEL]}},
    "predictions": [{"result": []}],
    "annotations": [
        {
            "id": 7,
            "completed_by": {"email": "a@example.org"},
            "was_cancelled": False,
            "lead_time": 2.5,
            "created_at": "2026-01-31T12:00:00Z",
            "result": [
                {"id": "a1", "type": "choices", "value": {"choices": ["correct"]}},
                {"id": "a2", "type": "textarea", "value": {"text": ["ok"]}},
            ],
        }
    ],
}
FEDERATION = (
    '[[servers]]\nname = "gpu"\nkind = "openai"\nurl = "http://gpu:8000/v1"\nmachine = "lab-1"\n'
    'api_key_variable = "GPU_KEY"\n\n[[models]]\nname = "tiny:1b"\nserver = "gpu"\nstate = "active"\ntask = "code"\n'
)
MESSAGES = [
    {"role": "system", "content": "Be short."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "2 + 2?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "4"},
    {"role": "user", "content": "And?"},
]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}},
}
CHAT: dict[str, Any] = {
    "model": "auto",
    "messages": MESSAGES,
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 1,
    "temperature": 0.5,
    "top_p": 1,
    "max_tokens": 20,
    "stop": ["a"],
    "seed": 1,
    "tools": [TOOL],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "store": False,
    "cache": {"no-cache": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "greenllm": {"policy": "guarded", "caution": 1},
    "user": "me",
    "logit_bias": {},
}
OLLAMA_CHAT: dict[str, Any] = {
    "model": "auto",
    "stream": False,
    "format": "json",
    "keep_alive": "5m",
    "tools": [TOOL],
    "options": {"num_ctx": 2048, "temperature": 0, "stop": ["x"], "num_predict": -1, "seed": 3},
    "messages": [
        {"role": "user", "content": "2 + 2?", "images": ["iVBORw0KGgo="]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2}}}]},
        {"role": "tool", "tool_name": "add", "content": "4"},
        {"role": "user", "content": "And?"},
    ],
}
OLLAMA_GENERATE: dict[str, Any] = {
    "model": "auto",
    "prompt": "2 + 2?",
    "system": "Be short.",
    "suffix": "",
    "raw": False,
    "context": [],
}
ROUTE: dict[str, Any] = {"model": "auto", "prompt": "2 + 2?", "max_tokens": 5, "greenllm": {"policy": "nearest"}}
COMPLETED: dict[str, Any] = {
    "model": "auto",
    "prompt": ["2 + 2?"],
    "max_tokens": 5,
    "echo": False,
    "best_of": 1,
    "logprobs": None,
}
EMBEDDED: dict[str, Any] = {"model": "all-minilm", "input": ["a", "b"], "encoding_format": "base64", "dimensions": None}
