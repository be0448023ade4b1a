"""What only the modern system has when an organization comes back, and the batch that catches up. No I/O."""
