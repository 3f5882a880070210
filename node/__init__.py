"""One community's node: repairs, points, time bank, council, the ledger and its neighbours."""
