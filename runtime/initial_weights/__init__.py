"""`training.init_from`: stored weights for networks, found, checked and put in place."""
