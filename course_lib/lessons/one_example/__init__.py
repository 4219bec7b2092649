"""Learning from one positive example, before deep networks, for notebook 12."""
