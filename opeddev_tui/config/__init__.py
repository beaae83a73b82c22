"""Settings: their types, and the layers they are read from."""
