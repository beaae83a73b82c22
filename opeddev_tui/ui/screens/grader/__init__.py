"""The screen where submissions are graded with a checkpoint, beside another one, and corrected."""
