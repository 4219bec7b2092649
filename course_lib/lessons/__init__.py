"""What one notebook shows, by subject: its pictures, its panel and its sliders together."""
