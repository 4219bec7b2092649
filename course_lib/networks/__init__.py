"""Networks whose layers are asked for by name, and their first-layer filters."""
