"""The addresses of the pages, without the configured prefix."""

from __future__ import annotations

FRONT = "/"
LOGIN, LOGOUT, ACCOUNT = "/login", "/logout", "/account"
OIDC = "/login/oidc/"
TOKENS, REVOKE = "/account/tokens", "/account/tokens/revoke"
