"""Real hosts, run as their users run them."""
