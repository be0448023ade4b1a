"""Batches at work: opened here or taken over, worked until every row is decided, whether anybody waits or not."""
