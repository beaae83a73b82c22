"""The line for commands: what can be typed, how it is completed, what it does."""
