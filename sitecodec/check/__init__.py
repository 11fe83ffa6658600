"""Two built sites beside each other in a real browser: what differs, page by page.

The first is the site as its author made it. Of how the second was made nothing here knows.
"""
