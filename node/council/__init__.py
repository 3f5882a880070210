"""The residents' council: from somebody's wish to a promise that is kept."""
