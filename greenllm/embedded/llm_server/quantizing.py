"""Make a GGUF of another quantisation from an existing one."""

from pathlib import Path
from typing import Any

# llama.cpp's llama_ftype of a file whose tensors are mostly of the named type.
_FILE_TYPES = {"Q8_0": 7, "Q3_K": 12}
# What llama.cpp's own tool takes when a tensor's rows do not divide into the blocks of a K-quant.
_FALLBACKS = {"Q3_K": "Q4_0"}


def requantize(source: Path, target: Path, quantization: str) -> None:
    """Write `source` with its weight matrices as `quantization` (Q8_0 or Q3_K); 135M parameters take 3-19 s.

    Norms and the token embedding stay as they are: they are small, or hurt most.

    Raises:
        KeyError: another quantisation.
    """
    import gguf  # with numpy 0.3 s, and wanted by nobody else

    file_type = _FILE_TYPES[quantization]
    wanted = gguf.GGMLQuantizationType[quantization]
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    _copy_metadata(reader, writer, file_type)
    for tensor in reader.tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.F32 or tensor.name == "token_embd.weight":
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        kind = wanted
        if weights.shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0]:
            kind = gguf.GGMLQuantizationType[_FALLBACKS[quantization]]
        writer.add_tensor(tensor.name, _quantize(weights, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_metadata(reader: Any, writer: Any, file_type: int) -> None:  # objects of the untyped gguf package
    import gguf

    for key, field in reader.fields.items():
        # Fields named GGUF.* are the reader's own; the writer has already set the architecture.
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if key == "general.file_type":
            writer.add_file_type(file_type)
            continue
        kind = field.types[0]
        item_kind = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=item_kind)


def _quantize(weights: Any, kind: Any) -> Any:  # numpy arrays and enums of the untyped gguf package
    import gguf
    import numpy as np

    if kind.name.endswith("_K"):
        import libgguf  # gguf itself writes no K-quants

        rows = libgguf.quantize_rows(weights.astype(np.float32), libgguf.GGMLQuantizationType[kind.name])
        return np.ascontiguousarray(rows)
    return gguf.quants.quantize(weights.astype(np.float32), kind)
