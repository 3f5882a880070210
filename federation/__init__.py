"""The forecaster: next week's requests from a community's own past, trained together or alone."""
