"""A node's dealings with the district's office: its keys, joining, its certificate, rounds."""
