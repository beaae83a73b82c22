"""What happened in a run: events, journal, state, manifest, and commands into a running training."""
