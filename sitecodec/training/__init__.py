"""Training and exporting models. Needs the extra `torch`."""
