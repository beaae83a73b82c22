"""The embedded demo: data of its own, a toy model made from a seed, a workspace of both."""
