"""A built site as a whole: what it shows, what takes its place, and the service worker."""
