"""What the project promises about speed, measured against its opponents in one run."""
