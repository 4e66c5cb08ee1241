"""What an export shows of itself: how its files are laid out and what its columns hold, as proposals to a person."""
