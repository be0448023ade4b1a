"""From the bytes of a batch to planned rows, in slices."""
