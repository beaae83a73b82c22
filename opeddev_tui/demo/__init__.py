"""A demo workspace with rows and a toy model of its own; all of it is made from a seed."""
