"""The browser of the rows of batches and hold-out."""
