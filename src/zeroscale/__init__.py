"""zeroscale: ladders of GPT-2-style models, zero-shot scores by the GPT-2 paper's protocol, and scaling laws."""

__version__ = "0.1.0"
