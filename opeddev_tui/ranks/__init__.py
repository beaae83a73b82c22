"""Train one step with several processes, the ranks: who they are, the line between them, what each of them does.

Rank 0 leads: it alone has the journal, the lock and the person. The others are its hands.
"""
