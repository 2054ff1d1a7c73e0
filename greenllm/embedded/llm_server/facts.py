"""What is known of a model file without loading it; noted, because hashing takes seconds per gigabyte."""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from greenllm.embedded.llm_server.gguf_header import GgufError, MetadataValue, read_header

_FACTS_VERSION = 1
# llama.cpp's llama_ftype -> the names that Ollama shows.
_QUANTIZATIONS = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}


@dataclass(frozen=True)
class ModelFacts:
    """One model file: `sha256` is its digest, `size_bytes` its size, `context_length` counts tokens."""

    sha256: str
    size_bytes: int
    modified_at: str
    architecture: str
    parameter_count: int
    quantization: str
    context_length: int
    embedding_length: int
    is_embedder: bool
    chat_template: str
    metadata: dict[str, MetadataValue]

    @property
    def parameter_size(self) -> str:
        """The number of parameters as Ollama writes it, such as `134.52M`."""
        for limit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
            if self.parameter_count >= limit:
                return f"{self.parameter_count / limit:.2f}".rstrip("0").rstrip(".") + letter
        return str(self.parameter_count)


def model_facts(path: Path, facts_dir: Path) -> ModelFacts:
    """Return the facts of a file, from the note kept in `facts_dir` unless the file has changed since.

    Raises:
        GgufError: no usable GGUF file.
        OSError: the file cannot be read.
    """
    found = path.stat()
    mark = [_FACTS_VERSION, found.st_size, found.st_mtime_ns]
    note = facts_dir / f"{path.name}.json"
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept["mark"] == mark:
            return ModelFacts(**kept["facts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # none yet, or one of another version
    facts = _examine(path, found)
    facts_dir.mkdir(parents=True, exist_ok=True)
    # a draft of its own for each: several threads may examine one file at once
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=facts_dir, prefix=note.name, delete=False) as draft:
        json.dump({"mark": mark, "facts": asdict(facts)}, draft)
    Path(draft.name).replace(note)
    return facts


def _examine(path: Path, found: os.stat_result) -> ModelFacts:
    header = read_header(path)
    architecture = header.text("general.architecture")
    context_length = header.whole_number(f"{architecture}.context_length")
    embedding_length = header.whole_number(f"{architecture}.embedding_length")
    if not architecture or not context_length or not embedding_length:
        raise GgufError(f"{path} does not say its architecture, context length and embedding length.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    file_type = header.whole_number("general.file_type")
    return ModelFacts(
        sha256=digest,
        size_bytes=found.st_size,
        modified_at=datetime.fromtimestamp(found.st_mtime, UTC).isoformat().replace("+00:00", "Z"),
        architecture=architecture,
        parameter_count=header.parameter_count,
        quantization="unknown" if file_type is None else _QUANTIZATIONS.get(file_type, "unknown"),
        context_length=context_length,
        embedding_length=embedding_length,
        is_embedder=f"{architecture}.pooling_type" in header.metadata,
        chat_template=header.text("tokenizer.chat_template"),
        metadata={key: value for key, value in header.metadata.items() if key != "tokenizer.chat_template"},
    )
