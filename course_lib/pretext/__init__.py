"""The pretext tasks, one file each, with their recipes; and clustering and puzzles, which some of them need."""
