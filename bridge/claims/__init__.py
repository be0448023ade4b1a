"""Claims of the modern system: which one a row belongs to, which are still to come, and how they are learnt."""
