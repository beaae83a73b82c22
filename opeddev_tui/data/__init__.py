"""Files to rows to examples to batches, and the check that training rows and hold-out stay apart."""
