"""Notebook 01: crops, every number of their scheme under a slider."""
