"""What residents are told: an inbox for everybody, and ways out of the house for who wants them."""
