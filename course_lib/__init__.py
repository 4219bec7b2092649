"""What can a network learn from one image? The library behind the notebooks.

Data flows one way:
photographs -> Source -> CropDataset -> a method of `pretext` -> `fit` -> trunk -> probes -> figures.
"""

__version__ = "0.1.0"
