"""Mutoscope: the Django project and the parts of the platform around the generation of clips."""

__version__ = "0.1.0"
