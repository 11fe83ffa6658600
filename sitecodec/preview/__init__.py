"""The author's preview: what is encoded when, what pages show, and the server of both."""
