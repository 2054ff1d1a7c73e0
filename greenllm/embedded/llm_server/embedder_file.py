"""Make a GGUF of the all-MiniLM-L6-v2 sentence embedder from its safetensors folder."""

import json
from pathlib import Path
from typing import Any

_FILE_TYPES = {"F16": 1, "Q8_0": 7}  # llama.cpp's llama_ftype of a file of mostly such tensors
_NORMAL_TOKEN, _CONTROL_TOKEN = 1, 3
_WORD_START = "\u2581"

_OUTER_TENSORS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# llama.cpp wants these in full precision although they are matrices.
_FULL_PRECISION = {"position_embd.weight", "token_types.weight"}


def convert_embedder(source: Path, target: Path, quantization: str = "F16") -> None:
    """Write the model in folder `source` as one GGUF file; takes about a second.

    Args:
        source: the folder.
        target: the file.
        quantization: of the layers' matrices, F16 or Q8_0; the table of words stays F16, as it is only looked up.

    Raises:
        KeyError: another quantization.
        FileNotFoundError: the folder lacks config.json, vocab.txt or model.safetensors.
    """
    import gguf  # with numpy 0.3 s, and wanted by nobody else
    from safetensors.numpy import load_file

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(target, "bert")
    _add_architecture(writer, config, _FILE_TYPES[quantization])
    _add_vocabulary(writer, (source / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    names = _tensor_names(config["num_hidden_layers"])
    for name, weights in load_file(source / "model.safetensors").items():
        if name in names:  # the pooler is of no use for sentence embeddings
            _add_tensor(writer, names[name], weights, quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensor_names(layer_count: int) -> dict[str, str]:
    names = dict(_OUTER_TENSORS)
    for layer in range(layer_count):
        for theirs, ours in _LAYER_TENSORS.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{theirs}.{part}"] = f"blk.{layer}.{ours}.{part}"
    return names


def _add_architecture(
    writer: Any, config: dict[str, Any], file_type: int
) -> None:  # the gguf package is untyped, so is the JSON
    import gguf

    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(file_type)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)


def _add_vocabulary(writer: Any, words: list[str]) -> None:  # the gguf package is untyped
    is_control = [word.startswith("[") and word.endswith("]") for word in words]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(
        [word if control else _llama_piece(word) for word, control in zip(words, is_control, strict=True)]
    )
    writer.add_token_types([_CONTROL_TOKEN if control else _NORMAL_TOKEN for control in is_control])
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_type_count(2)
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_mask_token_id(words.index("[MASK]"))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_eos_token_id(words.index("[SEP]"))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


def _llama_piece(word: str) -> str:
    """Turn WordPiece's mark of a continuation (##) into llama.cpp's mark of a beginning."""
    return word.removeprefix("##") if word.startswith("##") else _WORD_START + word


def _add_tensor(
    writer: Any, name: str, weights: Any, quantization: str
) -> None:  # the gguf package is untyped; a numpy array
    import gguf
    import numpy as np

    is_matrix = weights.ndim == 2 and name not in _FULL_PRECISION
    if is_matrix and quantization == "Q8_0" and name != "token_embd.weight":
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(weights.astype(np.float32), kind), raw_dtype=kind)
        return
    writer.add_tensor(name, weights.astype(np.float16 if is_matrix else np.float32))
