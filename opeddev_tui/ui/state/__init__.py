"""What the screen knows: plain data, no widget."""
