"""Networks whose layers are asked for by name, their first-layer filters, and the scattering transform."""
