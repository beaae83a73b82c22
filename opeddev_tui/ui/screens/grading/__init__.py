"""The grading screen: the race, what can be trusted, and the disputed rows."""
