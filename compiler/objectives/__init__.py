"""Objectives and the settings of everything that training and export need; torch-free."""
