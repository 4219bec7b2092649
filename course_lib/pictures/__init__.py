"""Pictures with captions, charts, and the panel that sliders move."""
