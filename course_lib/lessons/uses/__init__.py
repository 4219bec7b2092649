"""Uses of learned features, for notebook 11."""
