"""Checkpoint folders on disk: publishing, verifying, listing, pruning, recovery."""
