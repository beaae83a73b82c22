"""Plots, report page and exports of recorded runs."""
