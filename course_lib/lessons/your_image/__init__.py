"""A photograph of one's own: what is in it, how it compares with others, and a page about it, for notebook 13."""
