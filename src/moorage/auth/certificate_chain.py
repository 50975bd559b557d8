"""Whether a certificate leads to an authority that is trusted (RFC 5280 section 6); cryptography's verifier says so."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_CHAIN = 6
"""Certificates between one and its authority."""


class ChainRefused(Exception):
    """The certificate is not trusted, or not now; the message is for the log."""


def check_chain(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: float
) -> list[x509.Certificate]:
    """The chain from the certificate to the authority, both with it.

    What the certificate may be used for is not looked at; those above it must be authorities.

    Args:
        leaf: the certificate in question; one that is itself among the roots is its own chain.
        between: certificates that may stand between, in any order.
        roots: what is trusted.
        now: seconds since 1970.

    Raises:
        ChainRefused: there is no chain, or something of it is not valid now.
    """
    if not roots or len(between) > LONGEST_CHAIN:
        raise ChainRefused("there are no authorities, or too many certificates")
    authority = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    policy = PolicyBuilder().store(Store(list(roots))).time(dt.datetime.fromtimestamp(now, dt.UTC))
    policy = policy.max_chain_depth(LONGEST_CHAIN)
    policy = policy.extension_policies(ca_policy=authority, ee_policy=ExtensionPolicy.permit_all())
    try:
        return list(policy.build_client_verifier().verify(leaf, list(between)).chain)
    except (VerificationError, ValueError, x509.UnsupportedGeneralNameType) as error:
        raise ChainRefused(str(error).partition(" (encountered")[0]) from None


def _is_authority(_policy: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("a certificate that is no authority has issued another")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise ValueError("an authority that may not issue certificates has issued one")
