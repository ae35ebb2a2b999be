"""Warnings about specs that compile but will train or deploy badly: one lint per file."""
