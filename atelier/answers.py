"""What people may answer when they are asked whether articles go together.

What belongs here: the table's name and the answers. What does not: what follows from them
(:mod:`atelier.outfits.feedback`). Nothing heavy is imported.
"""

FEEDBACK = "outfit_feedback"
"""The table of answers. People write it, so that its files may be CSV as well as Parquet."""
ACCEPTED, REJECTED = "accepted", "rejected"
ANSWERS = (ACCEPTED, REJECTED)
