"""The one training loop: its step, its checkpoints, its progress; train or load."""
