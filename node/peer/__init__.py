"""Talking to another community: gRPC inside mTLS, every item signed."""
