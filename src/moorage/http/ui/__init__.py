"""Pages for people with a browser: sign in, and one's own account."""
