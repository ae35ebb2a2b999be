"""How good samples are that a network makes: beside real ones, as a classifier sees both."""
