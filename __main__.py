"""`python -m netwright`."""

from .cli import main

main()
