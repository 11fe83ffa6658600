"""HTML and CSS; nothing of images."""
