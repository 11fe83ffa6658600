"""The weight of a built site, and its results in audits."""
