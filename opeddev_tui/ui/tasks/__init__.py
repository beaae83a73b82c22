"""Background tasks of the app: reading and writing the disk in worker threads."""
