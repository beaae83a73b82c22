"""What the screens about generations, blind rounds and grades are made of."""
