"""The layout of a workspace on disk, its lock and its place in the model store."""
