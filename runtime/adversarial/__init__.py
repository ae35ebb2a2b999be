"""What can be said of generated samples."""
