"""The parts of the monitor screen. Each takes plain data."""
