"""Makes small GGUF files by the specification's layout, with no weights in them."""

import struct
from pathlib import Path

UINT32, STRING, ARRAY = 4, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, kind: int, payload: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + payload


def write_gguf(path: Path, *, architecture: str = "llama", context: int = 4096, pools: bool = False) -> Path:
    entries = [
        entry("general.architecture", STRING, text(architecture)),
        entry("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("béta")),
        entry("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ3I", UINT32, 3, 1, 1, 1)),
        entry(f"{architecture}.context_length", UINT32, struct.pack("<I", context)),
        entry(f"{architecture}.embedding_length", UINT32, struct.pack("<I", 64)),
        entry("general.file_type", UINT32, struct.pack("<I", 7)),
        entry("tokenizer.chat_template", STRING, text("{{ messages }}")),
    ]
    if pools:
        entries.append(entry(f"{architecture}.pooling_type", UINT32, struct.pack("<I", 1)))
    tensors = [
        text("a.weight") + struct.pack("<I2QIQ", 2, 1000, 2000, 0, 0),
        text("a.bias") + struct.pack("<IQIQ", 1, 500, 0, 0),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    path.write_bytes(head + b"".join(entries) + b"".join(tensors))
    return path
