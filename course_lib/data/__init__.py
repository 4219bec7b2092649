"""From photographs to crops: sources, the table of crops, rendering, and data sets by name."""
