"""Engines: the only place that may import torch, diffusers, OpenCV or numpy. One file or folder a model family."""
