"""Which way rows go: the switches in force, what is seen of each organization, and budgets that switch back."""
