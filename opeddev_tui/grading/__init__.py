"""Grading by a small head on hidden states: features, head, probabilities, race, calibration, label doctor.

Headless: no screen, no training. Importing this package loads no torch.
"""
