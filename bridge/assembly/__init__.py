"""The composition root: every room introduced to the others; nothing is built at import."""
