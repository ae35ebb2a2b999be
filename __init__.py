"""Netwright: neural networks from YAML."""

__version__ = "0.1.0"
