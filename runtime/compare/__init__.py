"""`netwright compare`: runs side by side."""
