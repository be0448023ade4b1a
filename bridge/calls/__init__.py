"""The life of a call: its intent, its sending, its answer, and what is done when that is lost."""
