"""The time bank inside one community: an hour for an hour."""
