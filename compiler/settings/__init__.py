"""The reference of all settings: pages made from the models, for docs/ and for the terminal."""
