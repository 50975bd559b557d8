"""Requests that two programs could read differently, byte by byte: for the wire tests and for the fuzz."""

from __future__ import annotations

GET = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n"
POST = b"POST /v2/raw/blobs/uploads/ HTTP/1.1\r\nHost: registry.test\r\n"
INNER = b"GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: registry.test\r\n\r\n"

# What stands behind the framing must never be taken for a second request.
AMBIGUOUS = {
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello" + INNER,
    "a list of lengths": POST + b"Content-Length: 5, 6\r\n\r\nhello" + INNER,
    "length with a sign": POST + b"Content-Length: +5\r\n\r\nhello" + INNER,
    "negative length": POST + b"Content-Length: -5\r\n\r\nhello" + INNER,
    "hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello" + INNER,
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello" + INNER,
    "blank before the colon": POST + b"Content-Length : 5\r\n\r\nhello" + INNER,
    "blank before the colon of a coding": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + INNER,
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + INNER,
    "chunked with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunked in HTTP/1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "folded line": GET + b"X-Any: a\r\n b\r\n\r\n" + INNER,
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + INNER,
    "zero byte in a header": GET + b"X-Any: a\0b\r\n\r\n" + INNER,
    "bare CR in a header": GET + b"X-Any: a\rb\r\n\r\n" + INNER,
    "line without a colon": GET + b"X-Any\r\n\r\n" + INNER,
    "blank in a header's name": GET + b"X Any: a\r\n\r\n" + INNER,
    "blank in the path": b"GET /v2/ /x HTTP/1.1\r\nHost: a\r\n\r\n" + INNER,
    "no version": b"GET /v2/\r\nHost: a\r\n\r\n" + INNER,
    "version 3.7": b"GET /v2/ HTTP/3.7\r\nHost: a\r\n\r\n" + INNER,
    "bytes that are no UTF-8 in the path": b"GET /v2/\xff\xfe/tags/list HTTP/1.1\r\nHost: a\r\n\r\n" + INNER,
    "zero byte in the path": b"GET /v2/\0 HTTP/1.1\r\nHost: a\r\n\r\n" + INNER,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n" + INNER,
}

# The body of a PATCH is broken off where it becomes ambiguous.
BROKEN_CHUNKS = {
    "bare LF in an extension": b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "bare LF after the size": b"1\nx\r\n0\r\n\r\n",
    "size with 0x": b"0x1\r\nx\r\n0\r\n\r\n",
    "size with a sign": b"+1\r\nx\r\n0\r\n\r\n",
    "size with an underscore": b"1_0\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n",
    "size beyond 64 bits": b"fffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "more bytes than said": b"1\r\nxx\r\n0\r\n\r\n",
    "no size": b"\r\nx\r\n0\r\n\r\n",
}
