"""What is read from disk and written to it: safely, whole or not at all."""
