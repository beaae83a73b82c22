"""The screen that puts several runs into one chart."""
