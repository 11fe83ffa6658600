"""What visitors' browsers get: the service worker with its engine, and what both cost and save."""
