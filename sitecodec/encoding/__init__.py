"""Images in, their variants out; nothing of HTML."""
