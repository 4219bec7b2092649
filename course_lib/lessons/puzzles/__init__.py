"""Notebook 09: nine tiles, and the short cuts by which a puzzle can be solved."""
