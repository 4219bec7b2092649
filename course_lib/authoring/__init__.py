"""For whoever edits the notebooks: their lint, and what commands write into them."""
