"""Runs of notebooks: the course, one cell of the grid of notebook 08, the grid, the reference, a gallery."""
