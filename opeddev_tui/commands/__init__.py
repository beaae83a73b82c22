"""The commands, one module each, with ``add(parser)`` and ``run(options) -> exit code``."""
