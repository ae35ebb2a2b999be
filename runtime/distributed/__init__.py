"""Several processes that train together, as torchrun starts them."""
