"""Loss curves drawn as text."""
