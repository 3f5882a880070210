"""The few words that everybody speaks: clock, ids, errors, events, and the one write path."""
