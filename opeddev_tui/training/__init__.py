"""Train steps with the Hugging Face Trainer. Must not know a screen."""
