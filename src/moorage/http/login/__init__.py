"""Login of people with a browser by OIDC providers, and logout."""
