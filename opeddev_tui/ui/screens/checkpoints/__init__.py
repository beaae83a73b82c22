"""The checkpoint browser."""
