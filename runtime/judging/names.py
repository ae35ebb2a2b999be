"""What the rows behind a judge's figures are called. Torch-free."""

REAL, MADE = "classes_real", "classes_made"
"""The shares of the classes among both kinds of samples."""
