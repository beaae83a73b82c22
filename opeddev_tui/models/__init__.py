"""Models and tokenizers: loading, precision, encoding, losses, generation, export."""
