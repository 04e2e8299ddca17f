"""How fast this machine trains a run: from earlier runs, or from a few steps measured now. Never a guess."""
