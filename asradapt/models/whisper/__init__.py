"""Whisper models of Hugging Face transformers as source models (extra `[hf]`)."""
