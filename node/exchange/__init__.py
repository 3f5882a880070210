"""An hour earned here and spent next door: passes, visits, receipts (docs/protocol.md)."""
