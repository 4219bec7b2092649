"""Learning from one positive example, before deep networks: exemplar SVM and LDA, correlation filters.

Taught in notebook 12.
"""
