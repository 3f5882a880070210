"""Nothing leaves for another community but through here, and nothing is answered twice."""
