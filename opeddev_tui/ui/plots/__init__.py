"""Curves drawn in text."""
