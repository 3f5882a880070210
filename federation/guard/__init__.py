"""The node's guard: no training code runs here unless its operator approved those very bytes."""
