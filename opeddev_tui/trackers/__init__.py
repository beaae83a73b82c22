"""Live trackers: TensorBoard, Weights & Biases, Trackio and MLflow follow a run's journal, each in its own process.

The journal is on disk before a tracker reads it. Nothing here may hold up, slow down or fail a training.
"""
