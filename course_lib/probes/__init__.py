"""What can be read from a frozen layer, or made of it: linear probes, controls, retraining above frozen layers."""
