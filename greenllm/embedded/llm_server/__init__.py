"""A small LLM server that speaks Ollama's protocol over llama.cpp: `python -m greenllm.embedded.llm_server`."""
