"""`netwright baseline`: scikit-learn's models on the same data, split and metrics."""
