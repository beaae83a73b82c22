"""Training of steps with the Hugging Face Trainer."""
