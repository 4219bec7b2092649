"""A photograph of one's own: what is in it, where it stands among others, and one page about it.

Taught in notebook 13.
"""
