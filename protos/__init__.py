"""The wire: what two machines must agree on."""
