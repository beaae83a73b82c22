"""Notices to the terminal and to services."""
