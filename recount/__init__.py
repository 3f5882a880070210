"""Count a vote again from its archive: written to share nothing with the node that held it."""
