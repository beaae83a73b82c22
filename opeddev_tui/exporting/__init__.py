"""Exports: a checkpoint as a folder that grades elsewhere as here, checked in a fresh process, sent to the hub."""
