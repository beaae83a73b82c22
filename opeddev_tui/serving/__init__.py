"""A trained grader at work: which model grades and how, what it is asked, what it answers. Trains nothing."""
