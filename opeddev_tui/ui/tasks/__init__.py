"""Work in background threads of the app: reading and writing the disk."""
