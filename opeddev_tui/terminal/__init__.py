"""The process's terminal: hang-ups, signals, stray output, the editor, what is sent to the screen."""
