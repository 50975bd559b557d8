"""Whose client certificate came with a request: the same rules at every door.

It counts where the request has no `Authorization` (and at `/api/v1` no session), so that whoever says who they are is
not taken for somebody else because of a certificate that a browser or a daemon shows to every server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.http.same_site import SAFE, check_remembered, check_same_site

if TYPE_CHECKING:
    from moorage.auth.ports import Authenticator, CertificateOwners
    from moorage.core.access import Identity
    from moorage.http.request import Request


async def certificate_owner(owners: CertificateOwners | None, request: Request) -> Identity | None:
    """The owner of the certificate; None where none came from a trusted proxy, or no rule of ours fits it.

    To be asked where the request has no `Authorization`.

    Args:
        owners: knows whose certificates are; None: they are not looked at.
        request: with `Client-Cert` and `Client-Cert-Chain` (RFC 9440).

    Raises:
        Unauthorized: it is not valid, or its account is gone or disabled.
        Denied: a page of another site made a browser ask for a change: it shows its certificate by itself, as it does
            a cookie. Programs that are no browsers say neither `Origin` nor `Sec-Fetch-Site`, and need not.
    """
    if owners is None:
        return None
    shown = request.client_certificate()
    owner = await owners.identify(*shown, request.address, request.id) if shown is not None else None
    if owner is not None and request.method not in SAFE:
        check_same_site(request, needed=False)
    return owner


async def identify(
    authenticator: Authenticator,
    owners: CertificateOwners | None,
    request: Request,
    origins: frozenset[str] = frozenset(),
) -> Identity:
    """Who asks: by `Authorization`, else by a client certificate; ANONYMOUS without both.

    Args:
        authenticator: reads `Authorization`.
        owners: knows whose certificates are; None: they are not looked at.
        request: the request.
        origins: of pages of other sites that may ask for changes with Basic credentials.

    Raises:
        RegistryError: as `Authenticator.identify`, `certificate_owner` and `check_remembered` do.
    """
    credentials = request.header(b"authorization")
    if credentials is None:
        owner = await certificate_owner(owners, request)
        if owner is not None:
            return owner
    else:  # before the password is looked at: no page is to try passwords either
        check_remembered(request, credentials, origins)
    identity = authenticator.known(credentials)
    if identity is None:
        identity = await authenticator.identify(credentials, request.address, request.id)
    return identity
