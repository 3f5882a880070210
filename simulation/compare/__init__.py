"""Comparing forecasts honestly: any panel, one protocol, every arm judged on the same weeks."""
