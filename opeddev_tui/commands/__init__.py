"""The commands, one module each: ``add(parser)`` and ``run(options) -> exit code``."""
