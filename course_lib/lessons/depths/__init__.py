"""Notebook 10: how deep a layer is, by four measures, in networks of other forms."""
