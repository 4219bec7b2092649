"""The course's own code timed beside its peers."""
