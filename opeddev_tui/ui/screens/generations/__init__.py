"""Screens that compare generations, with blind rounds and the grades of the hold-out."""
