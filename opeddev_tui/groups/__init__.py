"""Several trainings of one call, each a child process under the caller's lock: seeds of a step, compared settings."""
