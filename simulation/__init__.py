"""Whole districts on one machine, out of the same code that communities run."""
