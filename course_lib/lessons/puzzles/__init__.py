"""Notebook 09: nine tiles, and the shortcuts by which a puzzle can be solved."""
