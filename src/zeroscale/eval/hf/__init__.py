"""Directories in Hugging Face's format of architectures that transformers computes."""
