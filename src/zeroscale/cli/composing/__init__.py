"""What of Hydra's composition is ours: where it looks, and what it shows."""
