"""Fine-tune a small language model to grade web-development code, step by step, from a terminal."""

__version__ = "0.2.0"
