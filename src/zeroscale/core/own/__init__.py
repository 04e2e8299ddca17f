"""A folder of the user's own: configurations, sweeps, cards and Python beside those that are shipped."""
